//! The rows whose id or description contains a text, found in the stored file: reading it takes a fraction of the
//! time that PostgreSQL takes for the same rows, and an index of their texts would slow down the load.

use std::{
    cell::Cell,
    collections::HashMap,
    num::NonZero,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use futures::{StreamExt, TryStreamExt, stream};
use lru::LruCache;
use regex::bytes::{Regex, RegexBuilder};
use validator::{Encoding, RowFilter, Transaction};

use crate::{
    Error, Result,
    stored_result::{StoredChunk, StoredResult},
};

/// Searches that are remembered. Each takes a few bytes per megabyte of its file.
const REMEMBERED: NonZero<usize> = NonZero::new(256).expect("more than none");

/// How many matches each chunk has, for the latest searches: with these another page of the same search is a look
/// into the chunks it stands in, and while a job is being processed only its new chunks are searched. What is
/// remembered is never wrong: a chunk that is committed doesn't change, and a retry has a result of its own.
#[derive(Clone)]
pub(crate) struct Searches(Arc<Mutex<LruCache<Key, Matches>>>);

/// The result, the filter and the text.
type Key = (i64, RowFilter, String);

/// By the chunk's number. Whoever searches holds the lock, so the same search isn't done twice at the same time.
type Matches = Arc<tokio::sync::Mutex<HashMap<i32, u64>>>;

impl Searches {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(REMEMBERED))))
    }

    fn matches(&self, result_id: i64, filter: RowFilter, text: &str) -> Matches {
        let mut searches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        searches
            .get_or_insert_mut((result_id, filter, text.to_owned()), Matches::default)
            .clone()
    }

    /// The matches in these chunks, which are in the order of the file: how many there are, and those in `wanted`,
    /// counted from 0.
    pub async fn find(
        &self,
        result: StoredResult,
        chunks: Vec<StoredChunk>,
        filter: RowFilter,
        text: &str,
        wanted: Range<u64>,
    ) -> Result<(u64, Vec<Transaction>)> {
        let matches = self.matches(result.id, filter, text);
        let mut matches = matches.lock().await;
        let search = Arc::new(Search {
            result,
            filter,
            text: Text::new(text)?,
        });
        let lanes = thread::available_parallelism().map_or(1, NonZero::get);
        // A chunk that hasn't been searched gives its first matches along with their number. With them a first page is
        // complete, and any other but for the chunk in which it begins.
        let size = wanted.end - wanted.start;
        let chunks: Vec<(StoredChunk, Option<u64>)> = chunks
            .into_iter()
            .map(|chunk| (chunk, matches.get(&chunk.number).copied()))
            .collect();
        let mut counted = stream::iter(chunks)
            .map(|(chunk, known)| {
                let search = search.clone();
                async move {
                    let found = match known {
                        Some(count) => (count, Vec::new()),
                        None => search.chunk(chunk, 0..size).await?,
                    };
                    Ok::<_, Error>((chunk, found))
                }
            })
            .buffered(lanes);
        let mut total = 0;
        let mut parts = Vec::new();
        while let Some((chunk, (count, first))) = counted.try_next().await? {
            matches.insert(chunk.number, count);
            let before = total;
            total += count;
            let part = wanted.start.max(before)..wanted.end.min(total);
            if !part.is_empty() {
                let part = part.start - before..part.end - before;
                parts.push(search.clone().part(chunk, part, first));
            }
        }
        drop(matches);
        let rows: Vec<_> = stream::iter(parts).buffered(lanes).try_collect().await?;
        Ok((total, rows.into_iter().flatten().collect()))
    }
}

struct Search {
    result: StoredResult,
    filter: RowFilter,
    text: Text,
}

impl Search {
    /// How many matches the chunk has, and those in `wanted`, counted from 0.
    async fn chunk(
        self: Arc<Self>,
        chunk: StoredChunk,
        wanted: Range<u64>,
    ) -> Result<(u64, Vec<Transaction>)> {
        let bytes = self.result.bytes(chunk).await?;
        let search = self.clone();
        let bytes = blocking(move || search.may_be_in(&bytes).then_some(bytes)).await?;
        let Some(bytes) = bytes else {
            return Ok((0, Vec::new()));
        };
        let duplicates = self.result.duplicates(chunk).await?;
        blocking(move || self.look_into(&bytes, chunk.first_row(), &duplicates, &wanted)).await
    }

    /// The matches of the chunk in `wanted`, of which the first may be known.
    async fn part(
        self: Arc<Self>,
        chunk: StoredChunk,
        wanted: Range<u64>,
        mut first: Vec<Transaction>,
    ) -> Result<Vec<Transaction>> {
        if wanted.end > first.len() as u64 {
            return Ok(self.chunk(chunk, wanted).await?.1);
        }
        first.truncate(wanted.end as usize);
        Ok(first.split_off(wanted.start as usize))
    }

    fn may_be_in(&self, chunk: &[u8]) -> bool {
        self.result.layout.encoding() != Encoding::Utf8 || self.text.may_be_in_values_of(chunk)
    }

    fn look_into(
        &self,
        chunk: &[u8],
        first_row: u64,
        duplicates: &[u64],
        wanted: &Range<u64>,
    ) -> (u64, Vec<Transaction>) {
        let count = Cell::new(0);
        let mut rows = Vec::new();
        validator::validate_some(
            &self.result.layout,
            chunk,
            first_row,
            duplicates,
            |id, description| {
                let is_match = [id, description]
                    .into_iter()
                    .flatten()
                    .any(|value| self.text.is_in(value));
                if is_match && self.filter == RowFilter::All && !wanted.contains(&count.get()) {
                    // It counts whatever its verdict.
                    count.set(count.get() + 1);
                    return false;
                }
                is_match
            },
            |row| {
                if self.filter.lets_through(row) {
                    if wanted.contains(&count.get()) {
                        rows.push(row.to_transaction());
                    }
                    count.set(count.get() + 1);
                }
            },
        );
        (count.get(), rows)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Internal(error.into()))
}

/// A text to be found anywhere, whatever the case (Unicode's simple case folding).
struct Text {
    in_values: Regex,
    in_files: Regex,
    /// Contains U+FFFD, which values have where the file has bytes that are no text.
    has_replacement: bool,
}

impl Text {
    fn new(text: &str) -> Result<Self> {
        let characters: Vec<String> = text
            .chars()
            .map(|character| regex::escape(character.encode_utf8(&mut [0; 4])))
            .collect();
        let build = |pattern: &str| {
            RegexBuilder::new(pattern)
                .case_insensitive(true)
                .build()
                .map_err(anyhow::Error::new)
        };
        Ok(Self {
            in_values: build(&characters.concat())?,
            // Of a quoted value, quotes are left out where one is doubled and where it is closed.
            in_files: build(&characters.join("\"?"))?,
            has_replacement: text.contains(char::REPLACEMENT_CHARACTER),
        })
    }

    fn is_in(&self, value: &str) -> bool {
        self.in_values.is_match(value.as_bytes())
    }

    /// Whether a value in these records of a UTF-8 file may contain it: tells for several gigabytes a second what
    /// needn't be looked at closer.
    fn may_be_in_values_of(&self, records: &[u8]) -> bool {
        self.has_replacement || self.in_files.is_match(records)
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn a_text_is_taken_literally_whatever_its_case() {
        let text = Text::new(r"50%_.\Ä").unwrap();
        assert!(text.is_in(r"sale: 50%_.\ä off"));
        assert!(!text.is_in(r"sale: 50%__\ä off"));
        assert!(!text.is_in(r"sale: 500%_.\ä off"));
    }

    /// Each of these records has the value `a"bC`, or one that contains it.
    #[test]
    fn no_way_of_quoting_hides_a_text() {
        let text = Text::new("A\"bc").unwrap();
        for record in [
            "a\"bC",
            "1,xa\"bCx,2",
            "\"a\"\"bC\"",
            "\"a\"\"b\"C",
            "\"a\"\"\"bC",
            "\"\"a\"bC",
        ] {
            assert!(text.may_be_in_values_of(record.as_bytes()), "{record}");
        }
        assert!(!text.may_be_in_values_of(b"\"a\"\"\"\"bC\""));
        assert!(!text.may_be_in_values_of(b"a,bC"));
        let replacement = Text::new("\u{FFFD}").unwrap();
        assert!(replacement.may_be_in_values_of(b"a\0"));
    }
}
