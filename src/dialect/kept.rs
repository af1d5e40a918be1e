//! Firewalls of an earlier run, taken over by the next one where what they were read from is the same.

use super::load::Group;
use super::{DIALECTS, ReadOptions};
use crate::model::Firewall;
use crate::source::digest::sha256;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Firewalls of an earlier run with the same options, by what they were read from.
#[derive(Debug, Default)]
pub struct Kept(Mutex<FxHashMap<String, Vec<Firewall>>>);

impl Kept {
    /// Keeps those of which it is known what they were read from.
    pub fn of(firewalls: Vec<Firewall>) -> Self {
        let mut known: FxHashMap<String, Vec<Firewall>> = FxHashMap::default();
        for firewall in firewalls {
            if let Some(edition) = firewall.edition.clone() {
                known.entry(edition).or_default().push(firewall);
            }
        }
        Self(Mutex::new(known))
    }

    /// A firewall of the same files, for one who may have it alone.
    pub(super) fn take(&self, edition: &str) -> Option<Firewall> {
        self.0.lock().ok()?.get_mut(edition)?.pop()
    }
}

/// What a firewall is read from, in one number; `unasked` are the files that are read because of their place. `None` where its files may name others that
/// are read too.
pub(super) fn edition(
    (dialect, files): &Group,
    unasked: &BTreeSet<String>,
    options: &ReadOptions,
) -> Option<String> {
    if files.iter().any(|f| DIALECTS[*dialect].names_others(f.bytes())) {
        return None;
    }
    let mut head = format!("{dialect} {:?}", options.labels);
    for file in files {
        head += &format!(" {:?} {} {}", file.path, file.bytes().len(), unasked.contains(&file.path));
    }
    Some(sha256([head.as_bytes()].into_iter().chain(files.iter().map(|f| f.bytes()))))
}
