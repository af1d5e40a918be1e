//! A part of a run's work: so that several machines can share it.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::str::FromStr;

/// One of several parts of equal size. What belongs to which part depends on nothing but its name, so that all parts together are the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    // From 0.
    number: u64,
    of: u64,
}

impl Shard {
    /// Whether what has this name is part of it.
    pub fn takes(self, name: &str) -> bool {
        let hash = Sha256::digest(name.as_bytes());
        let number = hash.iter().take(8).fold(0u64, |n, b| n << 8 | u64::from(*b));
        number % self.of == self.number
    }
}

impl Shard {
    /// How reports say that they are about this part only: `part 1 of 4 only`.
    pub fn mark(self) -> String {
        format!("part {} of {} only", self.number + 1, self.of)
    }

    /// Takes the marks of all parts of one whole out of a list of words: together they are no part any more.
    pub fn drop_marks_of_whole(words: &mut Vec<String>) {
        let of = |word: &str| -> Option<(u64, u64)> {
            let (number, of) = word.strip_prefix("part ")?.strip_suffix(" only")?.split_once(" of ")?;
            Some((number.parse().ok()?, of.parse().ok()?))
        };
        let marks: BTreeSet<(u64, u64)> = words.iter().filter_map(|w| of(w)).collect();
        let whole = |all: u64| all == marks.iter().filter(|(_, of)| *of == all).count() as u64;
        words.retain(|w| of(w).is_none_or(|(_, all)| !whole(all)));
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: write K/N, such as 1/4 for the first of four parts");
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let (number, of): (u64, u64) =
            (number.parse().map_err(|_| wrong())?, of.parse().map_err(|_| wrong())?);
        if number == 0 || number > of {
            return Err(wrong());
        }
        Ok(Self { number: number - 1, of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole_and_nothing_twice() {
        let parts: Vec<Shard> = (1..=3).map(|k| format!("{k}/3").parse().unwrap()).collect();
        let mut sizes = [0; 3];
        for i in 0..3000 {
            let name = format!("hosts/srn-{i}.rules");
            let mine: Vec<usize> = (0..3).filter(|p| parts[*p].takes(&name)).collect();
            assert_eq!(mine.len(), 1, "{name}");
            sizes[mine[0]] += 1;
        }
        assert!(sizes.iter().all(|n| (800..1200).contains(n)), "{sizes:?}");
    }

    #[test]
    fn only_all_parts_are_the_whole() {
        let after = |texts: &[&str]| {
            let mut words = vec!["forged".to_owned()];
            words.extend(texts.iter().map(|t| t.parse::<Shard>().unwrap().mark()));
            Shard::drop_marks_of_whole(&mut words);
            words.len() - 1
        };
        assert_eq!(after(&["1/3", "2/3", "3/3"]), 0);
        assert_eq!(after(&["1/3", "3/3"]), 2);
        assert_eq!(after(&["1/1"]), 0);
        assert_eq!(after(&["1/2", "2/2", "1/3"]), 1);
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in ["0/3", "4/3", "1/0", "1", "a/b", "-1/2", ""] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
