//! Ids that were seen before.

use hashbrown::{HashTable, hash_table::Entry};
use siphasher::sip128::SipHasher24;

/// Hashes ids to 128 bits by SipHash-2-4, keyed: who doesn't know the key can't make ids that
/// collide, and by chance a billion of them collide less often than once in 10^20 files.
#[derive(Clone)]
pub struct IdHasher(SipHasher24);

impl IdHasher {
    pub fn new(key: [u8; 16]) -> Self {
        Self(SipHasher24::new_with_key(&key))
    }

    /// The hash of a trimmed id.
    pub fn hash(&self, id: &[u8]) -> u128 {
        self.0.hash(id).into()
    }
}

/// The ids of a file that were seen so far, as their hashes.
pub struct SeenIds {
    hasher: IdHasher,
    hashes: SeenHashes,
}

impl SeenIds {
    pub fn new(hasher: IdHasher) -> Self {
        Self {
            hasher,
            hashes: SeenHashes::with_capacity(0),
        }
    }

    /// Remembers a trimmed id. `false` if it was seen before.
    pub fn insert(&mut self, id: &[u8]) -> bool {
        self.hashes.insert(self.hasher.hash(id))
    }
}

/// Hashes by [`IdHasher`] that were seen so far: about 20 to 40 bytes for each.
pub struct SeenHashes(HashTable<u128>);

impl SeenHashes {
    /// Takes so many before it grows.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(HashTable::with_capacity(capacity))
    }

    /// Remembers a hash. `false` if it was seen before.
    pub fn insert(&mut self, hash: u128) -> bool {
        // A half of a good hash is one too.
        let table_hash = |hash: &u128| *hash as u64;
        match self
            .0
            .entry(table_hash(&hash), |seen| *seen == hash, table_hash)
        {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(hash);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_reference_implementation_does() {
        // First and last lines of vectors_sip128 in <https://github.com/veorq/SipHash>, vectors.h.
        let key: [u8; 16] = std::array::from_fn(|at| at as u8);
        let message: [u8; 63] = std::array::from_fn(|at| at as u8);
        let hash = |bytes: &[u8]| IdHasher::new(key).hash(bytes).to_le_bytes();
        assert_eq!(
            hash(b""),
            [
                0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55,
                0x02, 0x93
            ]
        );
        assert_eq!(
            hash(&message),
            [
                0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f,
                0xbd, 0x7c
            ]
        );
    }

    #[test]
    fn remembers_every_id() {
        let mut seen = SeenIds::new(IdHasher::new([7; 16]));
        let mut insert = |id: String| seen.insert(id.as_bytes());
        assert!((0..10_000).all(|id| insert(id.to_string())));
        assert!((0..10_000).all(|id| !insert(id.to_string())));
        assert!(insert("A".to_owned()) && insert("a".to_owned()) && !insert("A".to_owned()));
    }
}
