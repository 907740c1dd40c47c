//! Shares of something limited, so that one user or address can't take all of it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;

pub struct Shares<K> {
    /// The size of a share.
    each: usize,
    in_use: Arc<Mutex<HashMap<K, Arc<Semaphore>>>>,
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self {
            each: self.each,
            in_use: self.in_use.clone(),
        }
    }
}

impl<K: Hash + Eq> Shares<K> {
    /// `each` is the size of a share.
    pub fn new(each: usize) -> Self {
        Self {
            each,
            in_use: Arc::default(),
        }
    }

    /// Returns the share of `whose`, with as many permits as are free.
    pub fn of(&self, whose: K) -> Arc<Semaphore> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = in_use.get(&whose) {
            return share.clone();
        }
        // Nobody holds a permit of these, or waits for one.
        in_use.retain(|_, share| Arc::strong_count(share) > 1);
        let share = Arc::new(Semaphore::new(self.each));
        in_use.insert(whose, share.clone());
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_lasts_as_long_as_a_part_of_it_is_taken() {
        let shares = Shares::new(1);
        let taken = shares.of("ann").try_acquire_owned().unwrap();
        assert!(shares.of("bob").try_acquire_owned().is_ok());
        assert!(shares.of("ann").try_acquire_owned().is_err());
        drop(taken);
        assert!(shares.of("cid").try_acquire_owned().is_ok());
        assert_eq!(shares.in_use.lock().unwrap().len(), 1);
        assert!(shares.of("ann").try_acquire_owned().is_ok());
    }
}
