//! The id index: an object beside the stored file, written while planning, that maps ids to rows.
//!
//! It contains eight bytes for each row with an id, sorted by the hash of the id. A directory follows, with the start
//! of each bucket of about 4,096 entries. Finding an id takes two small reads, regardless of the length of the file and
//! of other jobs.
//!
//! ```text
//! entry      u64: 24 bits of the hash after the bits of the bucket | 39 bits row number | 1 bit: not for duplicates
//! directory  u64 for each bucket and one more: the number of entries before it
//! ```
//! All numbers are little-endian.

use validator::IdHasher;

use crate::{Result, Storage, jobs::query::IdIndex};

/// The size in bytes of an entry, and of a number in the directory.
const ENTRY: u64 = 8;

/// The approximate number of entries in a bucket.
const BUCKET: u64 = 4096;

/// A larger bucket isn't read, because it contains an id that very many rows share.
const MAX_BUCKET: u64 = 16 * BUCKET;

/// The number of bits of the hash in an entry.
const FRAGMENT_BITS: u32 = 24;

/// The maximum number of rows with one id that are looked up. An id that more rows share is better found by searching
/// the file.
const MAX_ROWS: usize = 1000;

/// Returns the number of bits of the hash that select the bucket, for an index with this number of entries.
pub(crate) fn bucket_bits(entries: u64) -> u32 {
    (entries / BUCKET).max(1).ilog2().min(32)
}

/// Returns the bits of the hash that an entry contains.
pub(crate) fn fragment(hash: u128, bucket_bits: u32) -> u64 {
    ((hash << bucket_bits) >> (128 - FRAGMENT_BITS)) as u64
}

/// Returns the directory for these numbers of entries per bucket.
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

/// Encodes a hash key for the job's row.
pub(crate) fn encode_key(key: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(key))
}

/// Returns the numbers of the rows that may contain this id, in ascending order: all that do, and by chance another
/// one. `None` if there are too many.
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
