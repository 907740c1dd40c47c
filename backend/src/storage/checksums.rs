//! The checksums of a stored file. They reveal on each read whether the file has changed since it was stored: a damaged
//! disk, a backup from another moment, a file that somebody has edited.
//!
//! ```text
//! u64 bytes of the file | u64 bytes of a block | u32 CRC-32 of each block
//! ```
//! All numbers are little-endian.

use std::ops::Range;

use crc32fast::Hasher;

/// The minimum size of a block, in bytes. A read is rounded up to whole blocks.
pub(crate) const BLOCK_BYTES: u64 = 64 << 10;

/// The maximum number of blocks in a file. Longer files have larger blocks.
const MAX_BLOCKS: usize = 1 << 14;

/// The size of the two numbers before the checksums, in bytes.
const HEAD_BYTES: usize = 16;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checksums {
    /// The size of the file.
    bytes: u64,
    /// The size of a block. The last one may be shorter.
    block_bytes: u64,
    sums: Vec<u32>,
}

#[derive(Debug, thiserror::Error)]
#[error("the checksums of the stored file are malformed")]
pub(crate) struct Malformed;

impl Checksums {
    pub fn decode(encoded: &[u8]) -> Result<Self, Malformed> {
        let (head, sums) = encoded.split_at_checked(HEAD_BYTES).ok_or(Malformed)?;
        let (numbers, _) = head.as_chunks::<8>();
        let [bytes, block_bytes] = numbers else {
            return Err(Malformed);
        };
        let (sums, rest) = sums.as_chunks::<4>();
        let decoded = Self {
            bytes: u64::from_le_bytes(*bytes),
            block_bytes: u64::from_le_bytes(*block_bytes),
            sums: sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect(),
        };
        let is_whole = rest.is_empty()
            && decoded.block_bytes > 0
            && decoded.bytes.div_ceil(decoded.block_bytes) == decoded.sums.len() as u64;
        is_whole.then_some(decoded).ok_or(Malformed)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(HEAD_BYTES + 4 * self.sums.len());
        encoded.extend_from_slice(&self.bytes.to_le_bytes());
        encoded.extend_from_slice(&self.block_bytes.to_le_bytes());
        for sum in &self.sums {
            encoded.extend_from_slice(&sum.to_le_bytes());
        }
        encoded
    }

    /// Returns the size of the file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the range of whole blocks that contains this range.
    pub fn around(&self, range: &Range<u64>) -> Range<u64> {
        let start = range.start / self.block_bytes * self.block_bytes;
        let blocks = range.end.div_ceil(self.block_bytes);
        let end = blocks.saturating_mul(self.block_bytes);
        start..end.min(self.bytes)
    }

    /// Returns whether these whole blocks equal what was stored. `start` is their position in the file.
    pub fn match_blocks(&self, start: u64, blocks: &[u8]) -> bool {
        let first = usize::try_from(start / self.block_bytes).unwrap_or(usize::MAX);
        let mut sums = self.sums.iter().skip(first);
        blocks
            .chunks(usize::try_from(self.block_bytes).unwrap_or(usize::MAX))
            .all(|block| sums.next() == Some(&crc32fast::hash(block)))
    }
}

/// Computes the checksums of a file while it streams by.
#[derive(Default)]
pub(crate) struct Checksummer {
    /// One per block, in order. Only the last block may be incomplete.
    blocks: Vec<Hasher>,
    /// How often pairs of blocks were joined.
    doublings: u32,
    bytes: u64,
}

impl Checksummer {
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let filled = self.bytes % self.block_bytes();
            if filled == 0 {
                if self.blocks.len() == MAX_BLOCKS {
                    self.join_blocks();
                }
                self.blocks.push(Hasher::new());
            }
            let room = usize::try_from(self.block_bytes() - filled).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(block) = self.blocks.last_mut() {
                block.update(now);
            }
            self.bytes += now.len() as u64;
            bytes = later;
        }
    }

    fn block_bytes(&self) -> u64 {
        BLOCK_BYTES << self.doublings
    }

    fn join_blocks(&mut self) {
        let joined = self.blocks.chunks(2).map(|pair| {
            let mut joined = pair[0].clone();
            pair[1..].iter().for_each(|next| joined.combine(next));
            joined
        });
        self.blocks = joined.collect();
        self.doublings += 1;
    }

    pub fn finish(self) -> Checksums {
        Checksums {
            bytes: self.bytes,
            block_bytes: self.block_bytes(),
            sums: self.blocks.into_iter().map(Hasher::finalize).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[&[u8]]) -> Checksums {
        let mut checksummer = Checksummer::default();
        pieces.iter().for_each(|piece| checksummer.update(piece));
        checksummer.finish()
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 % 251) as u8).collect()
    }

    #[test]
    fn a_changed_byte_is_detected_anywhere() {
        let block = BLOCK_BYTES as usize;
        for length in [0, 1, block - 1, block, block + 1, 3 * block + 17] {
            let mut content = content(length);
            let checksums = of(&[&content]);
            assert_eq!(checksums.bytes(), length as u64);
            assert!(checksums.match_blocks(0, &content));
            for at in (0..length).step_by(block / 2 + 1) {
                content[at] ^= 4;
                let range = checksums.around(&(at as u64..at as u64 + 1));
                let blocks = &content[range.start as usize..range.end as usize];
                assert!(
                    !checksums.match_blocks(range.start, blocks),
                    "{at} of {length}"
                );
                content[at] ^= 4;
            }
            // Longer content doesn't match either.
            content.push(0);
            assert!(!checksums.match_blocks(0, &content));
        }
    }

    #[test]
    fn checksums_do_not_depend_on_the_length_of_pieces() {
        let content = content(5 * BLOCK_BYTES as usize / 2);
        let whole = of(&[&content]);
        for length in [1000, 65_536, 100_001] {
            assert_eq!(of(&content.chunks(length).collect::<Vec<_>>()), whole);
        }
        assert_eq!(Checksums::decode(&whole.encode()).unwrap(), whole);
    }

    #[test]
    fn a_long_file_has_larger_blocks() {
        let block = content(BLOCK_BYTES as usize);
        let mut checksummer = Checksummer::default();
        for _ in 0..=2 * MAX_BLOCKS {
            checksummer.update(&block);
        }
        let checksums = checksummer.finish();
        assert_eq!(checksums.block_bytes, 4 * BLOCK_BYTES);
        assert_eq!(checksums.sums.len(), MAX_BLOCKS / 2 + 1);
        assert!(checksums.match_blocks(0, &block.repeat(4)));
        assert!(!checksums.match_blocks(0, &block.repeat(3)));
        assert_eq!(checksums.around(&(70_000..70_001)), 0..4 * BLOCK_BYTES);
    }

    #[test]
    fn malformed_checksums_are_refused() {
        let encoded = of(&[&content(100_000)]).encode();
        for end in 0..encoded.len() {
            assert!(Checksums::decode(&encoded[..end]).is_err());
        }
        let mut without_blocks = encoded.clone();
        without_blocks[8..16].fill(0);
        assert!(Checksums::decode(&without_blocks).is_err());
        let mut endless = encoded;
        endless[..8].fill(0xff);
        assert!(Checksums::decode(&endless).is_err());
    }
}
