//! Finds rows by a text in the stored file. A single pattern scans the bytes of a chunk at several gigabytes a second,
//! and only chunks that may contain the text are read row by row. An index of the texts would burden every job for the
//! sake of a few searches.

use std::{
    collections::HashMap,
    num::NonZero,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use domain::{ResultId, RowFilter, Transaction};
use futures::{StreamExt, TryStreamExt, stream};
use lru::LruCache;
use regex::bytes::{Regex, RegexBuilder};
use sqlx::PgPool;
use validator::{Encoding, Verdicts, read_rows};

use super::reader::{MAX_PAGE_BYTES, MatchedRows, Page, Reader, blocking, shown_bytes};
use crate::{
    Error, Result,
    ledger::{self, CommittedChunk},
};

/// The number of cached searches. Each takes a few bytes per megabyte of its file.
const REMEMBERED: NonZero<usize> = NonZero::new(256).expect("more than none");

/// Caches the number of matches in each chunk for the latest searches. Another page of the same search then reads only
/// the chunks it is in, and while a job is being processed only its new chunks are searched. The cache can't be stale:
/// a committed chunk doesn't change, and a retry has a new result.
#[derive(Clone)]
pub(crate) struct Searches(Arc<Mutex<LruCache<Key, Matches>>>);

/// The result, the filter, the text, and how it is matched.
type Key = (ResultId, RowFilter, String, Match);

/// Matches by chunk number. A search holds the lock, so that the same search doesn't run twice at the same time.
type Matches = Arc<tokio::sync::Mutex<HashMap<i32, u64>>>;

/// How a row matches a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Match {
    /// The text is its id.
    Id,
    /// The text occurs in its id or its description, ignoring case.
    Text,
}

impl Searches {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(REMEMBERED))))
    }

    fn matches(&self, search: &Search) -> Matches {
        let key = (
            search.reader.result_id,
            search.filter,
            search.text.clone(),
            search.is,
        );
        let mut searches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        searches.get_or_insert_mut(key, Matches::default).clone()
    }

    /// Returns the total number of matches of a search, and the matches in `wanted`, counted from 0, until the page is
    /// full.
    pub async fn find(
        &self,
        pool: &PgPool,
        search: Search,
        wanted: Range<u64>,
    ) -> Result<(u64, Vec<Transaction>)> {
        let matches = self.matches(&search);
        let mut matches = matches.lock().await;
        let chunks = ledger::committed(pool, search.reader.result_id, search.filter).await?;
        let search = Arc::new(search);
        let lanes = thread::available_parallelism().map_or(1, NonZero::get);
        // An unsearched chunk yields its first matches along with their number. They complete a first page. Any other
        // page may need another read of the chunk in which it begins.
        let size = wanted.end - wanted.start;
        let chunks: Vec<(CommittedChunk, Option<u64>)> = chunks
            .into_iter()
            .map(|chunk| {
                let known = matches.get(&chunk.number).copied();
                (chunk, known)
            })
            .collect();
        let mut counted = stream::iter(chunks)
            .map(|(chunk, known)| {
                let search = search.clone();
                async move {
                    let found = match known {
                        Some(count) => (count, Vec::new()),
                        None => search.chunk(&chunk, 0..size).await?,
                    };
                    Ok::<_, Error>((chunk, found))
                }
            })
            .buffered(lanes);
        let mut total = 0;
        let mut parts = Vec::new();
        // The size of the rows that are kept until all matches are counted.
        let mut kept = 0;
        while let Some((chunk, (count, mut first))) = counted.try_next().await? {
            matches.insert(chunk.number, count);
            let before = total;
            total += count;
            let part = wanted.start.max(before)..wanted.end.min(total);
            if !part.is_empty() && kept < MAX_PAGE_BYTES {
                let part = part.start - before..part.end - before;
                let rows = (part.end <= first.len() as u64).then(|| {
                    let rows = first.drain(part.start as usize..part.end as usize);
                    rows.collect::<Vec<_>>()
                });
                kept += rows.iter().flatten().map(shown_bytes).sum::<u64>();
                parts.push(search.clone().part(chunk, part, rows));
            }
        }
        drop(matches);
        let mut parts = stream::iter(parts).buffered(lanes);
        let mut page = Page::default();
        while !page.is_full()
            && let Some(rows) = parts.try_next().await?
        {
            rows.into_iter().for_each(|row| page.add(|| row));
        }
        Ok((total, page.rows))
    }
}

pub(crate) struct Search {
    reader: Reader,
    filter: RowFilter,
    text: String,
    is: Match,
    pattern: Pattern,
}

impl Search {
    pub fn new(reader: Reader, filter: RowFilter, text: &str, is: Match) -> Result<Self> {
        Ok(Self {
            reader,
            filter,
            text: text.to_owned(),
            is,
            pattern: Pattern::new(text)?,
        })
    }

    /// Returns the number of matches in the chunk, and the matches in `wanted`, counted from 0.
    async fn chunk(
        self: &Arc<Self>,
        chunk: &CommittedChunk,
        wanted: Range<u64>,
    ) -> Result<(u64, Vec<Transaction>)> {
        let bytes = self.reader.bytes(chunk).await?;
        let search = self.clone();
        let bytes = blocking(move || search.may_be_in(&bytes).then_some(bytes)).await?;
        let Some(bytes) = bytes else {
            return Ok((0, Vec::new()));
        };
        let verdicts = self.reader.verdicts(std::slice::from_ref(chunk)).await?;
        let search = self.clone();
        let first = (chunk.first_row as u64, chunk.line_after(Some(0)));
        blocking(move || {
            let verdicts = &verdicts[0];
            search.look_into(&bytes, first, verdicts, &wanted)
        })
        .await
    }

    /// Returns the chunk's matches in `wanted`, which are these rows if they are known.
    async fn part(
        self: Arc<Self>,
        chunk: CommittedChunk,
        wanted: Range<u64>,
        rows: Option<Vec<Transaction>>,
    ) -> Result<Vec<Transaction>> {
        match rows {
            Some(rows) => Ok(rows),
            None => Ok(self.chunk(&chunk, wanted).await?.1),
        }
    }

    fn may_be_in(&self, chunk: &[u8]) -> bool {
        self.reader.layout.encoding() != Encoding::Utf8
            || !self.reader.layout.has_texts_as_stored()
            || self.pattern.may_be_in_values_of(chunk)
    }

    fn look_into(
        &self,
        chunk: &[u8],
        (first_row, first_line): (u64, Option<u64>),
        verdicts: &Verdicts,
        wanted: &Range<u64>,
    ) -> (u64, Vec<Transaction>) {
        let mut found = MatchedRows::new(wanted.clone());
        read_rows(
            &self.reader.layout,
            chunk,
            first_row,
            first_line,
            verdicts.from_row(0),
            |candidate| {
                if !self.filter.matches(candidate.verdict()) {
                    return;
                }
                let (id, description) = candidate.texts();
                let is_match = match self.is {
                    Match::Id => id == Some(&self.text),
                    Match::Text => [id, description]
                        .into_iter()
                        .flatten()
                        .any(|value| self.pattern.is_in(value)),
                };
                if is_match {
                    found.add(|| candidate.row().to_transaction());
                }
            },
        );
        found.into_parts()
    }
}

/// A text that may occur anywhere, ignoring case (Unicode's simple case folding).
struct Pattern {
    in_values: Regex,
    in_files: Regex,
    /// Whether the text contains U+FFFD, which replaces bytes of the file that aren't text.
    has_replacement: bool,
}

impl Pattern {
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
            // Reading a quoted value drops a quote that doubles another one or closes the value. In the record, each
            // character of the text may therefore be followed by one more quote.
            in_files: build(&characters.join("\"?"))?,
            has_replacement: text.contains(char::REPLACEMENT_CHARACTER),
        })
    }

    fn is_in(&self, value: &str) -> bool {
        self.in_values.is_match(value.as_bytes())
    }

    /// Returns whether a value in these records of a UTF-8 file may contain the text. Skips records at several
    /// gigabytes a second.
    fn may_be_in_values_of(&self, records: &[u8]) -> bool {
        self.has_replacement || self.in_files.is_match(records)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_text_matches_literally_and_ignores_case() {
        let text = Pattern::new(r"50%_.\Ä").unwrap();
        assert!(text.is_in(r"sale: 50%_.\ä off"));
        assert!(!text.is_in(r"sale: 50%__\ä off"));
        assert!(!text.is_in(r"sale: 500%_.\ä off"));
    }

    /// Each of these records contains a value that is or contains `a"bC`.
    #[test]
    fn no_way_of_quoting_hides_a_text() {
        let text = Pattern::new("A\"bc").unwrap();
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
        let replacement = Pattern::new("\u{FFFD}").unwrap();
        assert!(replacement.may_be_in_values_of(b"a\0"));
    }
}
