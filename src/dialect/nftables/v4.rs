//! IPv4 elements read from bytes: of the longest lists that rulesets hold most elements are such.

/// `a.b.c.d`, `a.b.c.d/n` or `a.b.c.d-e.f.g.h` at the start of a text: lowest and highest address, and length. `None` for anything else, also
/// for what is written in an odd way (leading zeros, blanks around the sign): the general reader sees to that.
pub(super) fn element(bytes: &[u8]) -> Option<(u32, u32, usize)> {
    let (low, n) = address(bytes)?;
    match bytes.get(n) {
        Some(b'/') => {
            let (length, digits) = number(&bytes[n + 1..])?;
            let host = 32u32.checked_sub(length)?;
            let mask = u32::MAX.checked_shl(host).unwrap_or(0);
            let end = n + 1 + digits;
            ends(bytes, end).then_some((low & mask, low | !mask, end))
        }
        Some(b'-') => {
            let (high, more) = address(&bytes[n + 1..])?;
            let end = n + 1 + more;
            (low <= high && ends(bytes, end)).then_some((low, high, end))
        }
        _ => ends(bytes, n).then_some((low, low, n)),
    }
}

// No byte follows that would belong to the same word.
fn ends(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at), Some(b',' | b' ' | b'\t'))
}

fn address(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0;
    let mut at = 0;
    for part in 0..4 {
        if part > 0 {
            if bytes.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let (octet, digits) = number(&bytes[at..])?;
        if octet > 255 {
            return None;
        }
        value = value << 8 | octet;
        at += digits;
    }
    Some((value, at))
}

// One to three digits without a leading zero.
fn number(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0;
    let mut digits = 0;
    while let Some(b @ b'0'..=b'9') = bytes.get(digits) {
        if digits == 3 || (digits == 1 && value == 0) {
            return None;
        }
        value = value * 10 + u32::from(b - b'0');
        digits += 1;
    }
    (digits > 0).then_some((value, digits))
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
            assert_eq!(element(text.as_bytes()), expected, "{text}");
        }
    }
}
