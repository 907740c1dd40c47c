//! Stores entries in 256 partitions, in memory up to a budget and in unnamed temporary files beyond it.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
};

pub(super) const PARTITIONS: usize = 256;

/// A value of fixed size.
pub(super) trait Entry: Copy + Ord {
    const BYTES: usize;
    fn write(self, out: &mut impl Write) -> io::Result<()>;
    /// Reads an entry from exactly [`Self::BYTES`] bytes.
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! entry {
    ($number:ty) => {
        impl Entry for $number {
            const BYTES: usize = size_of::<$number>();

            fn write(self, out: &mut impl Write) -> io::Result<()> {
                out.write_all(&self.to_le_bytes())
            }

            fn read(bytes: &[u8]) -> Self {
                let mut number = [0; size_of::<$number>()];
                number.copy_from_slice(bytes);
                Self::from_le_bytes(number)
            }
        }
    };
}
entry!(u64);
entry!(u128);

/// Entries distributed over [`PARTITIONS`] partitions.
pub(super) struct Spill<E> {
    partitions: Vec<Partition<E>>,
    in_memory: usize,
    budget: usize,
}

impl<E: Entry> Spill<E> {
    /// Creates an empty spill that keeps at most `budget` bytes of entries in memory.
    pub fn new(budget: usize) -> Self {
        Self {
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
            in_memory: 0,
            budget: (budget / E::BYTES).max(1),
        }
    }

    pub fn push(&mut self, partition: u8, entry: E) -> io::Result<()> {
        self.partitions[usize::from(partition)].entries.push(entry);
        self.in_memory += 1;
        if self.in_memory >= self.budget {
            for partition in &mut self.partitions {
                partition.spill()?;
            }
            self.in_memory = 0;
        }
        Ok(())
    }

    /// Returns the partitions in order.
    pub fn into_partitions(self) -> Vec<Partition<E>> {
        self.partitions
    }
}

/// The entries of one partition, in insertion order.
pub(super) struct Partition<E> {
    /// Earlier entries on disk, with their number.
    spilled: Option<(BufWriter<File>, u64)>,
    entries: Vec<E>,
}

impl<E> Default for Partition<E> {
    fn default() -> Self {
        Self {
            spilled: None,
            entries: Vec::new(),
        }
    }
}

impl<E: Entry> Partition<E> {
    pub fn len(&self) -> u64 {
        let spilled = self.spilled.as_ref().map_or(0, |(_, entries)| *entries);
        spilled + self.entries.len() as u64
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let (file, entries) = match &mut self.spilled {
            Some(spilled) => spilled,
            none => none.insert((BufWriter::new(tempfile::tempfile()?), 0)),
        };
        for entry in &self.entries {
            entry.write(file)?;
        }
        *entries += self.entries.len() as u64;
        // Frees the memory for whichever partition needs it next.
        self.entries = Vec::new();
        Ok(())
    }

    /// Calls `each` with all entries, in insertion order. May be called repeatedly.
    pub fn for_each(&mut self, mut each: impl FnMut(E) -> io::Result<()>) -> io::Result<()> {
        if let Some((file, _)) = &mut self.spilled {
            file.flush()?;
            let file = file.get_mut();
            file.rewind()?;
            let mut reader = BufReader::with_capacity(E::BYTES << 12, file);
            let mut bytes = vec![0; E::BYTES << 12];
            loop {
                let mut filled = 0;
                while filled < bytes.len() {
                    match reader.read(&mut bytes[filled..])? {
                        0 => break,
                        read => filled += read,
                    }
                }
                for entry in bytes[..filled].chunks_exact(E::BYTES) {
                    each(E::read(entry))?;
                }
                if filled < bytes.len() {
                    break;
                }
            }
        }
        self.entries.iter().try_for_each(|entry| each(*entry))
    }

    /// Returns all entries. The partition must be known to be small.
    pub fn into_vec(mut self) -> io::Result<Vec<E>> {
        if self.spilled.is_none() {
            return Ok(self.entries);
        }
        let mut all = Vec::with_capacity(self.len() as usize);
        self.for_each(|entry| {
            all.push(entry);
            Ok(())
        })?;
        Ok(all)
    }
}
