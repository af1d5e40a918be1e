//! IPv4 elements read from bytes: of the longest lists that rulesets hold most elements are such.

use crate::packet::dotted::dotted;

/// IPv4 addresses from a lowest to a highest one, in one number: long lists of them are sorted. They are ordered by the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span4(u64);

impl Span4 {
    pub(super) fn new(lo: u32, hi: u32) -> Self {
        Self(u64::from(lo) << 32 | u64::from(hi))
    }

    pub(super) fn lo(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn hi(self) -> u32 {
        self.0 as u32
    }
}

/// `a.b.c.d`, `a.b.c.d/n` or `a.b.c.d-e.f.g.h` at a place in a text: lowest and highest address, and the place behind it. `None` for anything
/// else, also for what is written in an odd way (leading zeros, blanks around the sign): the general reader sees to that.
#[inline]
pub(super) fn element(text: &[u8], at: usize) -> Option<(u32, u32, usize)> {
    let (low, end) = address(text, at)?;
    match text.get(end) {
        Some(b',' | b' ' | b'\t') => Some((low, low, end)),
        Some(b'/') => {
            let (length, end) = number(text, end + 1)?;
            let host = 32u32.checked_sub(length)?;
            let mask = u32::MAX.checked_shl(host).unwrap_or(0);
            ends(text, end).then_some((low & mask, low | !mask, end))
        }
        Some(b'-') => {
            let (high, end) = address(text, end + 1)?;
            (low <= high && ends(text, end)).then_some((low, high, end))
        }
        _ => None,
    }
}

// No byte follows that would belong to the same word.
fn ends(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), Some(b',' | b' ' | b'\t'))
}

#[inline]
fn address(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let (address, length) = dotted(text.get(at..)?)?;
    Some((address, at + length))
}

// The length of a prefix: one or two digits without a leading zero, and the place behind them.
fn number(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let digit = |at: usize| text.get(at).map(|b| u32::from(b.wrapping_sub(b'0'))).filter(|d| *d < 10);
    match (digit(at)?, digit(at + 1)) {
        (one, None) => Some((one, at + 1)),
        (0, _) => None,
        (ten, Some(one)) => Some((10 * ten + one, at + 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_elements_only() {
        let ip = |a: [u8; 4]| u32::from_be_bytes(a);
        for (text, expected) in [
            ("10.0.0.1,", Some((ip([10, 0, 0, 1]), ip([10, 0, 0, 1]), 8))),
            ("255.255.255.255 ,", Some((u32::MAX, u32::MAX, 15))),
            ("10.1.2.3/8,", Some((ip([10, 0, 0, 0]), ip([10, 255, 255, 255]), 10))),
            ("1.2.3.4/0,", Some((0, u32::MAX, 9))),
            ("1.2.3.4/32,", Some((ip([1, 2, 3, 4]), ip([1, 2, 3, 4]), 10))),
            ("1.2.3.4-1.2.4.0,", Some((ip([1, 2, 3, 4]), ip([1, 2, 4, 0]), 15))),
            ("1.2.3.4-1.2.3.3,", None),
            ("1.2.3.4/33,", None),
            ("1.2.3.4/,", None),
            ("1.2.3.256,", None),
            ("01.2.3.4,", None),
            ("1.2.3,", None),
            ("1.2.3.4.5,", None),
            ("1.2.3.4x,", None),
            ("1.2.3.4:5,", None),
            ("1.2.3.4", None),
            ("", None),
        ] {
            assert_eq!(element(text.as_bytes(), 0), expected, "{text}");
        }
    }
}
