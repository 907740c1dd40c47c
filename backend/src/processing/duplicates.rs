//! Finds every repeated transaction id of a file, in bounded memory for any content, and writes the id index on the
//! way.
//!
//! Each id becomes an entry: 96 bits of its keyed hash, and its row number. (Among a billion ids, two share the same 96
//! bits once in a hundred billion files. Without the key nobody can construct such ids.) Entries are partitioned by the
//! first eight bits and go to disk beyond a budget. A partition that fits into memory is sorted. A larger one is
//! partitioned again by the next bits, unless all of its hashes are equal, which means that it is already in order.
//! Once sorted, equal ids are neighbours in the order of the file, and the same pass writes them to the index.

use std::{
    io::{self, BufWriter, Read, Seek, Write},
    iter,
    ops::Range,
};

use tempfile::SpooledTempFile;
use validator::{ChunkRange, RowId, RowSet};

use super::spill::{PARTITIONS, Partition, Spill};
use crate::ledger::PlannedChunk;
use crate::results::id_index;

/// The memory for ids before they go to disk, in bytes.
const BUDGET: usize = 32 << 20;

/// The maximum number of entries of a partition that is sorted in memory.
const SORTED: u64 = 1 << 19;

/// Limits on memory.
#[derive(Clone, Copy)]
struct Limits {
    /// In bytes.
    budget: usize,
    /// In entries.
    sorted: u64,
}

/// The maximum size of a partition's index in memory, in bytes.
const SPOOLED: usize = 8 << 20;

/// The number of entries that are worth a task of their own.
const GROUP: u64 = 1 << 15;

/// How much is written to a temporary file at once, in bytes.
const WRITTEN: usize = 64 << 10;

/// The memory for the numbers of duplicate rows before they go to disk, in bytes.
const DUPLICATES_BUDGET: usize = 16 << 20;

/// The bits of an entry besides the hash: 39 for the row number and one that says whether the row counts.
const ROW_BITS: u32 = 40;
/// The bits of the hash in an entry. The first eight bits of the hash are the partition's number.
const HASH_BITS: u32 = 128 - ROW_BITS;

/// Collects the ids of a file in the order of its rows.
pub(super) struct IdTable {
    ids: Spill<u128>,
    entries: u64,
    limits: Limits,
}

impl IdTable {
    pub fn new() -> Self {
        Self::within(Limits {
            budget: BUDGET,
            sorted: SORTED,
        })
    }

    fn within(limits: Limits) -> Self {
        Self {
            ids: Spill::new(limits.budget),
            entries: 0,
            limits,
        }
    }

    pub fn insert(&mut self, chunk: &ChunkRange, ids: &[RowId]) -> io::Result<()> {
        for id in ids {
            let row = chunk.first_row + u64::from(id.row());
            let partition = (id.hash() >> 120) as u8;
            let hash = (id.hash() >> (120 - HASH_BITS)) & ((1 << HASH_BITS) - 1);
            let entry = (hash << ROW_BITS) | u128::from((row << 1) | u64::from(!id.counts()));
            self.ids.push(partition, entry)?;
        }
        self.entries += ids.len() as u64;
        Ok(())
    }

    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Yields the partitions in groups, which can be resolved in any order and in parallel.
    pub fn into_groups(self) -> impl Iterator<Item = Vec<IdPartition>> {
        let bucket_bits = id_index::bucket_bits(self.entries);
        let limits = self.limits;
        let partitions = (0..=u8::MAX).zip(self.ids.into_partitions());
        let mut partitions = partitions.map(move |(number, entries)| IdPartition {
            number,
            entries,
            bucket_bits,
            limits,
        });
        let average = self.entries / PARTITIONS as u64 + 1;
        let size = (GROUP / average).clamp(1, PARTITIONS as u64) as usize;
        iter::from_fn(move || {
            let group: Vec<_> = partitions.by_ref().take(size).collect();
            (!group.is_empty()).then_some(group)
        })
    }
}

/// The ids whose hashes begin with the same eight bits.
pub(super) struct IdPartition {
    number: u8,
    entries: Partition<u128>,
    bucket_bits: u32,
    limits: Limits,
}

/// The result of a partition.
pub(super) struct Resolved {
    /// The entries of the index, in their order, from the start.
    pub index: SpooledTempFile,
    /// The number of entries in each bucket, starting with this one.
    pub first_bucket: usize,
    pub bucket_entries: Vec<u64>,
    duplicates: SpooledTempFile,
}

impl IdPartition {
    pub fn resolve(self) -> io::Result<Resolved> {
        // A partition is either part of one bucket or consists of several.
        let own_bits = self.bucket_bits.saturating_sub(8);
        let shared_bits = 8_u32.saturating_sub(self.bucket_bits);
        let mut resolver = Resolver {
            number: self.number,
            bucket_bits: self.bucket_bits,
            limits: self.limits,
            previous: None,
            first_bucket: (usize::from(self.number) << own_bits) >> shared_bits,
            bucket_entries: vec![0; 1 << own_bits],
            index: spooled(),
            duplicates: spooled(),
        };
        resolver.partition(self.entries, HASH_BITS)?;
        Ok(Resolved {
            first_bucket: resolver.first_bucket,
            bucket_entries: resolver.bucket_entries,
            index: rewound(resolver.index)?,
            duplicates: rewound(resolver.duplicates)?,
        })
    }
}

struct Resolver {
    number: u8,
    bucket_bits: u32,
    limits: Limits,
    /// The previous hash, and whether one of its rows counts.
    previous: Option<(u128, bool)>,
    first_bucket: usize,
    bucket_entries: Vec<u64>,
    index: BufWriter<SpooledTempFile>,
    duplicates: BufWriter<SpooledTempFile>,
}

fn spooled() -> BufWriter<SpooledTempFile> {
    BufWriter::with_capacity(WRITTEN, SpooledTempFile::new(SPOOLED))
}

fn rewound(file: BufWriter<SpooledTempFile>) -> io::Result<SpooledTempFile> {
    let mut file = file.into_inner()?;
    file.rewind()?;
    Ok(file)
}

impl Resolver {
    /// Resolves entries whose hashes differ at most in their last `bits` bits.
    fn partition(&mut self, mut entries: Partition<u128>, bits: u32) -> io::Result<()> {
        if entries.len() <= self.limits.sorted {
            let mut entries = entries.into_vec()?;
            entries.sort_unstable();
            return entries.into_iter().try_for_each(|entry| self.entry(entry));
        }
        let (mut all, mut any) = (u128::MAX, 0);
        entries.for_each(|entry| {
            all &= entry >> ROW_BITS;
            any |= entry >> ROW_BITS;
            Ok(())
        })?;
        if all == any {
            return entries.for_each(|entry| self.entry(entry));
        }
        let bits = bits.saturating_sub(8);
        let mut parts = Spill::new(self.limits.budget / 4);
        entries.for_each(|entry| parts.push((entry >> (ROW_BITS + bits)) as u8, entry))?;
        drop(entries);
        for part in parts.into_partitions() {
            self.partition(part, bits)?;
        }
        Ok(())
    }

    /// Processes the next entry in ascending order.
    fn entry(&mut self, entry: u128) -> io::Result<()> {
        let hash = entry >> ROW_BITS;
        let row_and_worth = entry as u64 & ((1 << ROW_BITS) - 1);
        let counts = row_and_worth & 1 == 0;
        let counted = match self.previous {
            Some((previous, counted)) if previous == hash => counted,
            _ => false,
        };
        if counts && counted {
            let row = row_and_worth >> 1;
            self.duplicates.write_all(&row.to_le_bytes())?;
        }
        self.previous = Some((hash, counted || counts));

        let hash = (u128::from(self.number) << HASH_BITS) | hash;
        let hash_bits = HASH_BITS + 8;
        let bucket = (hash >> (hash_bits - self.bucket_bits)) as usize;
        self.bucket_entries[bucket - self.first_bucket] += 1;
        let fragment = id_index::fragment(hash << (128 - hash_bits), self.bucket_bits);
        let entry = (fragment << ROW_BITS) | row_and_worth;
        self.index.write_all(&entry.to_le_bytes())
    }
}

/// The rows of a file that repeat the id of an earlier row.
pub(super) struct Duplicates {
    rows: Spill<u64>,
    /// The number of rows per partition.
    width: u64,
}

impl Duplicates {
    /// Returns an empty set for a file with this number of rows.
    pub fn new(rows: u64) -> Self {
        Self {
            rows: Spill::new(DUPLICATES_BUDGET),
            width: rows / PARTITIONS as u64 + 1,
        }
    }

    pub fn insert(&mut self, resolved: &mut Resolved) -> io::Result<()> {
        let mut block = Vec::new();
        loop {
            block.clear();
            let duplicates = &mut resolved.duplicates;
            duplicates.take(64 << 10).read_to_end(&mut block)?;
            if block.is_empty() {
                return Ok(());
            }
            for row in block.as_chunks().0 {
                let row = u64::from_le_bytes(*row);
                // Row numbers start at 1.
                self.rows.push(((row - 1) / self.width) as u8, row)?;
            }
        }
    }

    /// Yields the chunks with their duplicates, in the order of the file.
    pub fn by_chunk(
        self,
        chunks: Vec<ChunkRange>,
    ) -> impl Iterator<Item = io::Result<PlannedChunk>> {
        let mut rows = Rows {
            partitions: self.rows.into_partitions().into_iter(),
            width: self.width,
            first: 1,
            set: Vec::new(),
        };
        chunks.into_iter().map(move |range| {
            let first_row = range.first_row;
            let mut duplicates = RowSet::default();
            rows.within(first_row..first_row + u64::from(range.rows), |row| {
                duplicates.push((row - first_row) as u32);
            })?;
            Ok(PlannedChunk { range, duplicates })
        })
    }
}

/// Yields rows in ascending order, with a bit set for the rows of one partition at a time.
struct Rows {
    partitions: std::vec::IntoIter<Partition<u64>>,
    width: u64,
    /// The first row in `set`.
    first: u64,
    set: Vec<u64>,
}

impl Rows {
    /// Calls `each` with the rows in a range. Each range must start where the previous one ended.
    fn within(&mut self, range: Range<u64>, mut each: impl FnMut(u64)) -> io::Result<()> {
        let mut row = range.start;
        while row < range.end {
            if self.set.is_empty() || row >= self.first + self.width {
                if !self.set.is_empty() {
                    self.first += self.width;
                }
                let Some(mut partition) = self.partitions.next() else {
                    return Ok(());
                };
                self.set.clear();
                self.set.resize(self.width.div_ceil(64) as usize, 0);
                let (first, set) = (self.first, &mut self.set);
                partition.for_each(|row| {
                    let at = row - first;
                    set[(at / 64) as usize] |= 1 << (at % 64);
                    Ok(())
                })?;
                continue;
            }
            let at = row - self.first;
            let word = self.set[(at / 64) as usize] >> (at % 64);
            if word == 0 {
                row = (row + 64 - at % 64).min(self.first + self.width);
                continue;
            }
            row += u64::from(word.trailing_zeros());
            if row < range.end {
                each(row);
            }
            row += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use validator::IdHasher;

    use super::*;

    const TINY: Limits = Limits {
        budget: 1000,
        sorted: 40,
    };
    const MEMORY: Limits = Limits {
        budget: BUDGET,
        sorted: SORTED,
    };

    /// Resolves chunks of 1,000 rows with these ids. An id that begins with `?` doesn't count.
    fn resolve(ids: &[String], limits: Limits) -> (Vec<u64>, Vec<u8>) {
        let hasher = IdHasher::new([7; 16]);
        let mut table = IdTable::within(limits);
        let mut chunks = Vec::new();
        for (number, ids) in (0..).zip(ids.chunks(1000)) {
            let chunk = ChunkRange {
                ignored: 0,
                number,
                start: 0,
                end: 0,
                first_row: 1 + 1000 * u64::from(number),
                first_line: None,
                rows: ids.len() as u32,
            };
            let ids: Vec<RowId> = (0..)
                .zip(ids)
                .map(|(row, id)| {
                    let hash = hasher.hash(id.trim_start_matches('?').as_bytes());
                    RowId::new(hash, row, !id.starts_with('?'))
                })
                .collect();
            table.insert(&chunk, &ids).unwrap();
            chunks.push(chunk);
        }
        let mut duplicates = Duplicates::new(ids.len() as u64);
        let mut index = Vec::new();
        for partition in table.into_groups().flatten() {
            let mut resolved = partition.resolve().unwrap();
            duplicates.insert(&mut resolved).unwrap();
            resolved.index.read_to_end(&mut index).unwrap();
        }
        let rows = duplicates
            .by_chunk(chunks)
            .flat_map(|chunk| {
                let chunk = chunk.unwrap();
                let rows: Vec<u32> = chunk.duplicates.rows().collect();
                rows.into_iter()
                    .map(move |row| chunk.range.first_row + u64::from(row))
            })
            .collect();
        (rows, index)
    }

    fn check(ids: &[String]) {
        let mut seen = HashSet::new();
        let expected: Vec<u64> = (1..)
            .zip(ids)
            .filter(|(_, id)| !id.starts_with('?') && !seen.insert(*id))
            .map(|(row, _)| row)
            .collect();
        let in_memory = resolve(ids, MEMORY);
        // Thousands of rows aren't worth printing.
        let difference = expected.iter().zip(&in_memory.0).find(|(a, b)| a != b);
        assert_eq!((difference, in_memory.0.len()), (None, expected.len()));
        assert_eq!(in_memory.1.len(), 8 * ids.len());
        assert!(resolve(ids, TINY) == in_memory, "on disk");
    }

    #[test]
    fn repeated_ids_are_found_for_any_ids() {
        let ids = |id: fn(u64) -> String| (1..=5_500).map(id).collect::<Vec<_>>();
        check(&ids(|row| format!("T{row}")));
        check(&ids(|_| "same".to_owned()));
        check(&ids(|row| format!("T{}", row % 1000)));
        check(&ids(|row| match row % 3 {
            0 => format!("T{row}"),
            _ => "same".to_owned(),
        }));
        check(&ids(|row| match row % 5 {
            // The first ones don't count.
            0..=1 => "?same".to_owned(),
            2 => "same".to_owned(),
            _ => format!("T{}", row / 3),
        }));
        check(&[]);
    }
}
