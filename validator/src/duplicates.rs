//! Detects repeated ids.

use std::{hint, mem};

use siphasher::sip128::SipHasher13;

/// Hashes ids to 128 bits with SipHash-1-3 and a secret key. Without the key nobody can construct ids that collide, and
/// by chance a billion ids collide in fewer than one of 10^20 files. No attack on SipHash-1-3 is known that works
/// without the key. Each file has its own random key, which is never shown. The hash tables of Rust and Python rely on
/// the same variant.
#[derive(Clone)]
pub struct IdHasher(SipHasher13);

impl IdHasher {
    pub fn new(key: [u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(&key))
    }

    /// Returns the hash of a trimmed id.
    pub fn hash(&self, id: &[u8]) -> u128 {
        self.0.hash(id).into()
    }
}

/// The hashes of the ids seen so far in a file.
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

    /// Adds a trimmed id. Returns `false` if it was seen before.
    pub fn insert(&mut self, id: &[u8]) -> bool {
        self.insert_hash(self.hash(id))
    }

    /// Reserves memory for `times` as many ids as were seen so far.
    pub(crate) fn make_room(&mut self, times: f64) {
        self.hashes.make_room(times);
    }

    /// Returns the hash of a trimmed id.
    #[inline]
    pub(crate) fn hash(&self, id: &[u8]) -> u128 {
        self.hasher.hash(id)
    }

    /// Adds an id by its hash. Returns `false` if it was seen before.
    #[inline]
    pub(crate) fn insert_hash(&mut self, hash: u128) -> bool {
        self.hashes.insert(hash)
    }

    /// Makes the processor load the slots of these hashes into its cache together, because insertion is bound by memory
    /// latency.
    #[inline]
    pub(crate) fn fetch<'a>(&self, hashes: impl Iterator<Item = &'a u128>) {
        let SeenHashes { slots, .. } = &self.hashes;
        let first_bits = |hash: &u128| slots[self.hashes.home(*hash)] as u64;
        hint::black_box(hashes.map(first_bits).fold(0, |all, bits| all ^ bits));
    }
}

/// The [`IdHasher`] hashes seen so far, at about 21 to 43 bytes each.
///
/// A hash table with linear probing and no removal. The highest bits of a hash select its slot; if that is taken, the
/// hash goes to the next free one. So nearly every look-up costs one cache miss, and growing the table walks through
/// memory from one end to the other.
pub struct SeenHashes {
    /// The number of slots is a power of two. 0 marks a free slot.
    slots: Vec<u128>,
    /// The number of slots in use.
    taken: usize,
    /// Whether the hash 0 was seen.
    has_zero: bool,
}

impl SeenHashes {
    const MIN_SLOTS: usize = 16;

    /// Reserves room for `capacity` hashes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_slots(Self::slots_for(capacity))
    }

    fn slots_for(capacity: usize) -> usize {
        let slots = capacity.saturating_add(capacity / 3 + 1);
        slots.next_power_of_two().max(Self::MIN_SLOTS)
    }

    fn make_room(&mut self, times: f64) {
        let slots = Self::slots_for((self.taken as f64 * times) as usize);
        if slots > self.slots.len() {
            self.grow(slots);
        }
    }

    fn with_slots(slots: usize) -> Self {
        Self {
            slots: vec![0; slots],
            taken: 0,
            has_zero: false,
        }
    }

    /// Adds a hash. Returns `false` if it was seen before.
    #[inline]
    pub fn insert(&mut self, hash: u128) -> bool {
        if hash == 0 {
            return !mem::replace(&mut self.has_zero, true);
        }
        let mut at = self.home(hash);
        while self.slots[at] != 0 {
            if self.slots[at] == hash {
                return false;
            }
            at = self.after(at);
        }
        self.slots[at] = hash;
        self.taken += 1;
        if self.taken > self.slots.len() / 4 * 3 {
            self.grow(2 * self.slots.len());
        }
        true
    }

    #[inline]
    fn home(&self, hash: u128) -> usize {
        // Any half of a good hash is a good hash. There are at least 16 slots.
        let high = (hash >> 64) as u64;
        (high >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    #[cold]
    fn grow(&mut self, slots: usize) {
        let mut grown = Self::with_slots(slots);
        for &hash in self.slots.iter().filter(|hash| **hash != 0) {
            let mut at = grown.home(hash);
            while grown.slots[at] != 0 {
                at = grown.after(at);
            }
            grown.slots[at] = hash;
        }
        self.slots = grown.slots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SipHash as its paper defines it (Aumasson and Bernstein, 2012), with the 128-bit output of the reference
    /// implementation. Runs `c` rounds for each word and `d` rounds for each half of the hash.
    fn sip_hash(c: usize, d: usize, key: [u8; 16], message: &[u8]) -> u128 {
        fn rounds(v: &mut [u64; 4], count: usize) {
            for _ in 0..count {
                v[0] = v[0].wrapping_add(v[1]);
                v[1] = v[1].rotate_left(13) ^ v[0];
                v[0] = v[0].rotate_left(32);
                v[2] = v[2].wrapping_add(v[3]);
                v[3] = v[3].rotate_left(16) ^ v[2];
                v[0] = v[0].wrapping_add(v[3]);
                v[3] = v[3].rotate_left(21) ^ v[0];
                v[2] = v[2].wrapping_add(v[1]);
                v[1] = v[1].rotate_left(17) ^ v[2];
                v[2] = v[2].rotate_left(32);
            }
        }
        let key = u128::from_le_bytes(key);
        let key = [key as u64, (key >> 64) as u64];
        let mut v = [
            key[0] ^ 0x736f_6d65_7073_6575,
            key[1] ^ 0x646f_7261_6e64_6f6d ^ 0xEE,
            key[0] ^ 0x6c79_6765_6e65_7261,
            key[1] ^ 0x7465_6462_7974_6573,
        ];
        let mut padded = message.to_vec();
        padded.resize(message.len() / 8 * 8 + 7, 0);
        padded.push(message.len() as u8);
        for word in padded.as_chunks().0 {
            let word = u64::from_le_bytes(*word);
            v[3] ^= word;
            rounds(&mut v, c);
            v[0] ^= word;
        }
        v[2] ^= 0xEE;
        rounds(&mut v, d);
        let low = v[0] ^ v[1] ^ v[2] ^ v[3];
        v[1] ^= 0xDD;
        rounds(&mut v, d);
        u128::from(low) | u128::from(v[0] ^ v[1] ^ v[2] ^ v[3]) << 64
    }

    #[test]
    fn reserved_memory_does_not_grow_and_loses_nothing() {
        let mut hashes = SeenHashes::with_capacity(0);
        let hash = |number: u64| IdHasher::new([1; 16]).hash(&number.to_le_bytes());
        for number in 0..1000 {
            assert!(hashes.insert(hash(number)));
        }
        hashes.make_room(50.0);
        let slots = hashes.slots.len();
        for number in 0..50_000 {
            assert_eq!(hashes.insert(hash(number)), number >= 1000);
        }
        assert_eq!(hashes.slots.len(), slots);
        hashes.make_room(0.5);
        assert_eq!(hashes.slots.len(), slots);
        assert!(!hashes.insert(hash(49_999)));
    }

    #[test]
    fn hashes_match_the_definition() {
        let key: [u8; 16] = std::array::from_fn(|at| at as u8);
        let message: [u8; 63] = std::array::from_fn(|at| at as u8);
        // The first and last lines of `vectors_sip128` in vectors.h of <https://github.com/veorq/SipHash>, for
        // SipHash-2-4.
        assert_eq!(
            sip_hash(2, 4, key, b"").to_le_bytes(),
            [
                0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55,
                0x02, 0x93
            ]
        );
        assert_eq!(
            sip_hash(2, 4, key, &message).to_le_bytes(),
            [
                0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f,
                0xbd, 0x7c
            ]
        );
        for length in 0..=message.len() {
            let message = &message[..length];
            let hash = IdHasher::new(key).hash(message);
            assert_eq!(hash, sip_hash(1, 3, key, message), "{length}");
        }
    }

    #[test]
    fn remembers_every_hash_wherever_it_goes() {
        // Many share a slot, and those in the last slot wrap around to the first.
        let hashes = || {
            let high = [0, 1, 2, u64::MAX >> 1, u64::MAX - 1, u64::MAX];
            high.into_iter()
                .flat_map(|high| (0..500).map(move |low| u128::from(high) << 64 | low))
        };
        for capacity in [0, 11, 12, 13, 3000] {
            let mut seen = SeenHashes::with_capacity(capacity);
            assert!(hashes().all(|hash| seen.insert(hash)));
            assert!(hashes().all(|hash| !seen.insert(hash)));
            assert!(seen.insert(500) && !seen.insert(500));
        }
    }

    #[test]
    fn takes_its_capacity_before_it_grows() {
        for capacity in [0, 1, 11, 12, 13, 100, 1000, 12_288] {
            let mut seen = SeenHashes::with_capacity(capacity);
            let slots = seen.slots.len();
            let hasher = IdHasher::new([1; 16]);
            assert!((0..capacity).all(|id| seen.insert(hasher.hash(&id.to_le_bytes()))));
            assert_eq!(seen.slots.len(), slots);
        }
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
