//! A part of a run's work: so that several machines can share it.

use sha2::{Digest as _, Sha256};
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
    fn what_is_no_part_is_refused() {
        for text in ["0/3", "4/3", "1/0", "1", "a/b", "-1/2", ""] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
