//! How far a run is, counted by those who work and read by those who show it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What a run has done of what it has to do.
#[derive(Debug, Default)]
pub struct Progress {
    /// Files read.
    pub files: Tally,
    /// Requirements judged, each at each flow that it asks for.
    pub requirements: Tally,
}

/// Things that are done one by one. It may be counted by several threads at once, and what is read is never more than a moment old.
#[derive(Debug, Default)]
pub struct Tally {
    all: AtomicUsize,
    done: AtomicUsize,
}

impl Tally {
    /// So many more have to be done.
    pub fn expect(&self, more: usize) {
        self.all.fetch_add(more, Ordering::Relaxed);
    }

    /// One is done.
    pub fn tick(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// How many are done, and how many there are.
    pub fn read(&self) -> (usize, usize) {
        (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed))
    }
}
