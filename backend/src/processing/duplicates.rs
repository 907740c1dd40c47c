//! Finds every repeated transaction id of a file of any length in flat memory: 128-bit hashes of the
//! ids, partitioned by their first byte and written to unnamed temporary files beyond a budget.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, Write},
};

use validator::SeenHashes;

const PARTITIONS: usize = 256;
/// Memory for ids that are not on disk, in bytes.
const BUDGET: usize = 32 << 20;
const ENTRY_BYTES: usize = 24;

/// An id's hash and its row number.
type Entry = [u8; ENTRY_BYTES];

pub(super) struct DuplicateFinder {
    partitions: Vec<Partition>,
    entries_in_memory: usize,
    budget_entries: usize,
}

#[derive(Default)]
struct Partition {
    entries: Vec<Entry>,
    /// Earlier entries of this partition.
    spilled: Option<BufWriter<File>>,
}

impl DuplicateFinder {
    pub fn new() -> Self {
        Self::with_budget(BUDGET)
    }

    fn with_budget(bytes: usize) -> Self {
        Self {
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
            entries_in_memory: 0,
            budget_entries: (bytes / ENTRY_BYTES).max(1),
        }
    }

    /// Takes the hashed ids of the next rows, in the order of the file.
    pub fn insert(&mut self, ids: &[(u128, u64)]) -> io::Result<()> {
        ids.iter()
            .try_for_each(|(hash, row_number)| self.insert_one(*hash, *row_number))
    }

    fn insert_one(&mut self, hash: u128, row_number: u64) -> io::Result<()> {
        let entry = pack(hash, row_number);
        self.partitions[usize::from(entry[0])].entries.push(entry);
        self.entries_in_memory += 1;
        if self.entries_in_memory >= self.budget_entries {
            for partition in &mut self.partitions {
                partition.spill()?;
            }
            self.entries_in_memory = 0;
        }
        Ok(())
    }

    /// The numbers of all rows whose id stands in an earlier row, ascending.
    pub fn finish(self) -> io::Result<Vec<u64>> {
        let mut duplicates = Vec::new();
        for partition in self.partitions {
            partition.find_duplicates(&mut duplicates)?;
        }
        duplicates.sort_unstable();
        Ok(duplicates)
    }
}

impl Partition {
    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.spilled {
            Some(file) => file,
            none => none.insert(BufWriter::new(tempfile::tempfile()?)),
        };
        file.write_all(self.entries.as_flattened())?;
        self.entries.clear();
        Ok(())
    }

    fn find_duplicates(self, duplicates: &mut Vec<u64>) -> io::Result<()> {
        let mut spilled = Vec::new();
        if let Some(file) = self.spilled {
            let mut file = file.into_inner().map_err(|error| error.into_error())?;
            file.rewind()?;
            file.read_to_end(&mut spilled)?;
        }
        let (spilled, _) = spilled.as_chunks::<ENTRY_BYTES>();
        let mut seen = SeenHashes::with_capacity(spilled.len() + self.entries.len());
        // In the order of the file: the first of equal ids is no duplicate.
        for entry in spilled.iter().chain(&self.entries) {
            let (hash, row_number) = unpack(entry);
            if !seen.insert(hash) {
                duplicates.push(row_number);
            }
        }
        Ok(())
    }
}

fn pack(hash: u128, row_number: u64) -> Entry {
    let mut entry = [0; ENTRY_BYTES];
    entry[..16].copy_from_slice(&hash.to_be_bytes());
    entry[16..].copy_from_slice(&row_number.to_be_bytes());
    entry
}

fn unpack(entry: &Entry) -> (u128, u64) {
    let (mut hash, mut row_number) = ([0; 16], [0; 8]);
    hash.copy_from_slice(&entry[..16]);
    row_number.copy_from_slice(&entry[16..]);
    (u128::from_be_bytes(hash), u64::from_be_bytes(row_number))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Few distinct hashes, spread over all partitions.
    fn hash(row: u64) -> u128 {
        u128::from(row % 1_000).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }

    #[test]
    fn finds_the_same_rows_in_memory_and_on_disk() {
        let mut seen = HashSet::new();
        let expected: Vec<u64> = (1..=5_000).filter(|row| !seen.insert(hash(*row))).collect();
        for budget in [1, 700 * ENTRY_BYTES, BUDGET] {
            let mut finder = DuplicateFinder::with_budget(budget);
            let ids: Vec<_> = (1..=5_000).map(|row| (hash(row), row)).collect();
            finder.insert(&ids).unwrap();
            assert_eq!(finder.finish().unwrap(), expected, "budget {budget}");
        }
    }

    #[test]
    fn the_first_of_equal_ids_is_no_duplicate() {
        let mut finder = DuplicateFinder::new();
        finder.insert(&[(7, 1), (7, 2)]).unwrap();
        finder.insert(&[(7, 3), (8, 4)]).unwrap();
        assert_eq!(finder.finish().unwrap(), [2, 3]);
    }
}
