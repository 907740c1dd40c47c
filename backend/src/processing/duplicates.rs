//! Finds every repeated transaction id of a file of any length in flat memory: 128-bit hashes of the
//! ids, partitioned by their first byte and written to unnamed temporary files beyond a budget.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, Write},
};

const PARTITIONS: usize = 256;
/// Memory for ids that are not on disk, in bytes.
const BUDGET: usize = 32 << 20;
const ENTRY_BYTES: usize = 24;

/// An id's hash and its row number, packed so that they sort by both.
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

    pub fn insert(&mut self, hash: u128, row_number: u64) -> io::Result<()> {
        let mut entry = [0; ENTRY_BYTES];
        entry[..16].copy_from_slice(&hash.to_be_bytes());
        entry[16..].copy_from_slice(&row_number.to_be_bytes());
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
            let mut entries = partition.into_entries()?;
            entries.sort_unstable();
            for pair in entries.windows(2) {
                if pair[0][..16] == pair[1][..16] {
                    let mut row_number = [0; 8];
                    row_number.copy_from_slice(&pair[1][16..]);
                    duplicates.push(u64::from_be_bytes(row_number));
                }
            }
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

    fn into_entries(mut self) -> io::Result<Vec<Entry>> {
        let Some(spilled) = self.spilled else {
            return Ok(self.entries);
        };
        let mut file = spilled.into_inner().map_err(|error| error.into_error())?;
        file.rewind()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        self.entries.extend_from_slice(bytes.as_chunks().0);
        Ok(self.entries)
    }
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
            for row in 1..=5_000 {
                finder.insert(hash(row), row).unwrap();
            }
            assert_eq!(finder.finish().unwrap(), expected, "budget {budget}");
        }
    }

    #[test]
    fn the_first_of_equal_ids_is_no_duplicate() {
        let mut finder = DuplicateFinder::new();
        for row in [1, 2, 3] {
            finder.insert(7, row).unwrap();
        }
        finder.insert(8, 4).unwrap();
        assert_eq!(finder.finish().unwrap(), [2, 3]);
    }
}
