//! The id index: an object beside the stored file, written while planning, that finds the rows with an id.
//!
//! It has eight bytes for each row with an id, sorted by the hash of the id, and after them a directory that says where
//! each bucket of some 4,096 entries begins. Finding an id takes two small reads, however long the file is, and nothing
//! depends on other jobs.
//!
//! ```text
//! entry      u64: 24 bits of the hash behind those that name the bucket | 39 bits row number | 1 bit: not for duplicates
//! directory  u64 for each bucket and one more: how many entries are before it
//! ```
//! All numbers are little-endian.

use validator::IdHasher;

use crate::{Result, Storage, jobs::query::IdIndex};

/// Bytes of an entry, and of a number in the directory.
const ENTRY: u64 = 8;

/// Entries that a bucket has, or a few more or less.
const BUCKET: u64 = 4096;

/// A larger bucket has an id that very many rows have, and isn't read.
const MAX_BUCKET: u64 = 16 * BUCKET;

/// Bits of the hash in an entry.
const FRAGMENT_BITS: u32 = 24;

/// Rows with one id that are looked up. An id that more rows have is better searched for in the file.
const MAX_ROWS: usize = 1000;

/// How many bits of the hash name the bucket in an index with this number of entries.
pub(crate) fn bucket_bits(entries: u64) -> u32 {
    (entries / BUCKET).max(1).ilog2().min(32)
}

/// The bits of the hash that an entry has.
pub(crate) fn fragment(hash: u128, bucket_bits: u32) -> u64 {
    ((hash << bucket_bits) >> (128 - FRAGMENT_BITS)) as u64
}

/// The directory, from the number of entries in each bucket.
pub(crate) fn directory(bucket_entries: &[u64]) -> Vec<u8> {
    let mut before = 0;
    let mut directory = Vec::with_capacity(8 * (bucket_entries.len() + 1));
    directory.extend_from_slice(&u64::to_le_bytes(0));
    for entries in bucket_entries {
        before += entries;
        directory.extend_from_slice(&before.to_le_bytes());
    }
    directory
}

/// A hash key as the job's row has it.
pub(crate) fn encode_key(key: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(key))
}

/// The numbers of the rows that may show this id, ascending: all that do, and by chance another one. `None` if they are
/// too many.
pub(crate) async fn rows(storage: &Storage, index: &IdIndex, id: &str) -> Result<Option<Vec<u64>>> {
    let key = u128::from_str_radix(&index.hash_key, 16).map_err(anyhow::Error::new)?;
    let hash = IdHasher::new(key.to_be_bytes()).hash(id.as_bytes());
    let bits = bucket_bits(index.entries);
    let bucket = hash.checked_shr(128 - bits).unwrap_or(0) as u64;
    let at = ENTRY * (index.entries + bucket);
    let bounds = storage
        .read_object(&index.storage_key, at..at + 2 * ENTRY)
        .await?;
    let (bounds, _) = bounds.as_chunks::<8>();
    let [start, end] = bounds else {
        return Err(anyhow::anyhow!("the id index is shorter than it should be").into());
    };
    let (start, end) = (u64::from_le_bytes(*start), u64::from_le_bytes(*end));
    if end.saturating_sub(start) > MAX_BUCKET {
        return Ok(None);
    }
    let bucket = ENTRY * start..ENTRY * end;
    let entries = storage.read_object(&index.storage_key, bucket).await?;
    let (entries, _) = entries.as_chunks::<8>();
    let fragment = fragment(hash, bits);
    let fragment_of = |entry: &[u8; 8]| u64::from_le_bytes(*entry) >> (64 - FRAGMENT_BITS);
    let first = entries.partition_point(|entry| fragment_of(entry) < fragment);
    let found = entries[first..]
        .iter()
        .take_while(|entry| fragment_of(entry) == fragment)
        .map(|entry| (u64::from_le_bytes(*entry) & ((1 << (64 - FRAGMENT_BITS)) - 1)) >> 1);
    let mut rows: Vec<u64> = found.take(MAX_ROWS + 1).collect();
    if rows.len() > MAX_ROWS {
        return Ok(None);
    }
    rows.sort_unstable();
    Ok(Some(rows))
}
