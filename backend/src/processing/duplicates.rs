//! Finds every repeated transaction id of a file of any content in flat memory, and writes the id index on the way.
//!
//! Each id is an entry: 96 bits of its keyed hash and its row number. (Of a billion ids, two have the same 96 bits once in
//! a hundred billion files; nobody who doesn't know the key can make such ids.) Entries are partitioned by the first
//! eight bits, which go to disk beyond a budget. A partition that fits into memory is sorted; a larger one is partitioned
//! again by the next bits, unless all of its hashes are equal: then it is in the right order as it is. Sorted, equal ids
//! are neighbours, in the order of the file, and the same pass writes them to the index.

use std::{
    io::{self, Read, Seek, Write},
    ops::Range,
};

use tempfile::SpooledTempFile;
use validator::{ChunkRange, RowId, RowSet};

use super::spill::{PARTITIONS, Partition, Spill};
use crate::ledger::PlannedChunk;
use crate::results::id_index;

/// Memory for ids that are not on disk, in bytes.
const BUDGET: usize = 32 << 20;

/// Entries of a partition that are sorted in memory.
const SORTED: u64 = 1 << 19;

/// What a partition's index may take in memory, in bytes.
const SPOOLED: usize = 8 << 20;

/// Memory for the numbers of duplicate rows that are not on disk, in bytes.
const DUPLICATES_BUDGET: usize = 16 << 20;

/// Bits of an entry that are not the hash's: 39 for the row number, one for what it is worth.
const ROW_BITS: u32 = 40;
/// Bits of the hash in an entry. The first eight are the partition's number.
const HASH_BITS: u32 = 128 - ROW_BITS;

/// Takes the ids of a file in the order of its rows.
pub(super) struct IdTable {
    ids: Spill<u128>,
    entries: u64,
}

impl IdTable {
    pub fn new() -> Self {
        Self::with_budget(BUDGET)
    }

    fn with_budget(bytes: usize) -> Self {
        Self {
            ids: Spill::new(bytes),
            entries: 0,
        }
    }

    pub fn insert(&mut self, chunk: &ChunkRange, ids: &[RowId]) -> io::Result<()> {
        for id in ids {
            let row = chunk.first_row + u64::from(id.row);
            let partition = (id.hash >> 120) as u8;
            let hash = (id.hash >> (120 - HASH_BITS)) & ((1 << HASH_BITS) - 1);
            let entry = (hash << ROW_BITS) | u128::from((row << 1) | u64::from(!id.counts));
            self.ids.push(partition, entry)?;
        }
        self.entries += ids.len() as u64;
        Ok(())
    }

    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The partitions, to be resolved one by one, at the same time.
    pub fn into_partitions(self) -> impl Iterator<Item = IdPartition> {
        let bucket_bits = id_index::bucket_bits(self.entries);
        let partitions = self.ids.into_partitions();
        (0..=u8::MAX)
            .zip(partitions)
            .map(move |(number, entries)| IdPartition {
                number,
                entries,
                bucket_bits,
            })
    }
}

/// The ids whose hash begins with one number.
pub(super) struct IdPartition {
    number: u8,
    entries: Partition<u128>,
    bucket_bits: u32,
}

/// What a partition comes to.
pub(super) struct Resolved {
    /// The index's entries, in their order.
    pub index: SpooledTempFile,
    /// How many of them are in each bucket, beginning with this one.
    pub first_bucket: usize,
    pub bucket_entries: Vec<u64>,
    duplicates: SpooledTempFile,
}

impl IdPartition {
    pub fn resolve(self) -> io::Result<Resolved> {
        // A partition is a part of a bucket, or some buckets.
        let own_bits = self.bucket_bits.saturating_sub(8);
        let shared_bits = 8_u32.saturating_sub(self.bucket_bits);
        let mut resolver = Resolver {
            number: self.number,
            bucket_bits: self.bucket_bits,
            index: Vec::new(),
            previous: None,
            resolved: Resolved {
                index: SpooledTempFile::new(SPOOLED),
                first_bucket: (usize::from(self.number) << own_bits) >> shared_bits,
                bucket_entries: vec![0; 1 << own_bits],
                duplicates: SpooledTempFile::new(SPOOLED),
            },
        };
        resolver.partition(self.entries, HASH_BITS)?;
        resolver.flush()?;
        Ok(resolver.resolved)
    }
}

struct Resolver {
    number: u8,
    bucket_bits: u32,
    /// Bytes of the index that are to be written.
    index: Vec<u8>,
    /// The hash before, and whether one of its rows counts.
    previous: Option<(u128, bool)>,
    resolved: Resolved,
}

impl Resolver {
    /// Resolves entries that are equal but for the last `bits` bits of their hashes.
    fn partition(&mut self, mut entries: Partition<u128>, bits: u32) -> io::Result<()> {
        if entries.len() <= SORTED {
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
        let mut parts = Spill::new(BUDGET / 4);
        entries.for_each(|entry| parts.push((entry >> (ROW_BITS + bits)) as u8, entry))?;
        drop(entries);
        for part in parts.into_partitions() {
            self.partition(part, bits)?;
        }
        Ok(())
    }

    /// Takes the next entry in ascending order.
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
            self.resolved.duplicates.write_all(&row.to_le_bytes())?;
        }
        self.previous = Some((hash, counted || counts));

        let hash = (u128::from(self.number) << HASH_BITS) | hash;
        let hash_bits = HASH_BITS + 8;
        let bucket = (hash >> (hash_bits - self.bucket_bits)) as usize;
        self.resolved.bucket_entries[bucket - self.resolved.first_bucket] += 1;
        let fragment = id_index::fragment(hash << (128 - hash_bits), self.bucket_bits);
        let entry = (fragment << ROW_BITS) | row_and_worth;
        self.index.extend_from_slice(&entry.to_le_bytes());
        if self.index.len() >= 64 << 10 {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.resolved.index.write_all(&self.index)?;
        self.index.clear();
        Ok(())
    }
}

/// The rows of a file whose id stands in an earlier row.
pub(super) struct Duplicates {
    rows: Spill<u64>,
    /// Rows that a partition has.
    width: u64,
}

impl Duplicates {
    /// For a file with so many rows.
    pub fn new(rows: u64) -> Self {
        Self {
            rows: Spill::new(DUPLICATES_BUDGET),
            width: rows / PARTITIONS as u64 + 1,
        }
    }

    pub fn insert(&mut self, resolved: &mut Resolved) -> io::Result<()> {
        resolved.duplicates.rewind()?;
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
                // Rows count from 1.
                self.rows.push(((row - 1) / self.width) as u8, row)?;
            }
        }
    }

    /// The chunks with their duplicates, in the order of the file.
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

/// Rows in ascending order: a set of one partition's rows after the other.
struct Rows {
    partitions: std::vec::IntoIter<Partition<u64>>,
    width: u64,
    /// The first row that `set` is about.
    first: u64,
    set: Vec<u64>,
}

impl Rows {
    /// Hands on the rows in a range that begins where the one before ended.
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
                row += 64 - at % 64;
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
