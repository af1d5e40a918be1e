//! IPv4 addresses in dotted decimal, read from bytes: large dumps hold little else.

// What is looked at: the longest address, and the rest of the four bytes that its last number is read with.
const WINDOW: usize = 16;

/// The address that a text begins with, four decimal numbers of at most 255 without leading zeros, and its length. `None` if the text
/// begins otherwise. What stands behind the address is not looked at, but it is no digit.
#[inline]
pub fn dotted(text: &[u8]) -> Option<(u32, usize)> {
    let mut short = [0; WINDOW];
    let window = text.first_chunk::<WINDOW>().unwrap_or_else(|| {
        short[..text.len()].copy_from_slice(text);
        &short
    });
    let (mut address, mut start) = (0, 0);
    for part in 0..4 {
        let digits = u32::from_le_bytes(*window[start..].first_chunk()?) ^ u32::from_le_bytes(*b"0000");
        // The highest bit of each byte that is no digit: ten and more are carried over to it.
        let others = (((digits & 0x7f7f_7f7f) + 0x7676_7676) | digits) & 0x8080_8080;
        let length = others.trailing_zeros() / 8;
        if !(1..=3).contains(&length) {
            return None;
        }
        // The last digit in the highest byte, nothing before the first one.
        let digits = digits << (32 - 8 * length);
        let value = (digits >> 24) + 10 * (digits >> 16 & 0xff) + 100 * (digits >> 8 & 0xff);
        let least = [0, 0, 10, 100][length as usize];
        let end = start + length as usize;
        if value > 255 || value < least || (part < 3 && window[end] != b'.') {
            return None;
        }
        address = address << 8 | value;
        start = end + 1;
    }
    Some((address, start - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    // By the standard library: the longest beginning that is an address, if no digit stands behind it.
    fn slowly(text: &[u8]) -> Option<(u32, usize)> {
        let length = text.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
        let known = |n: &usize| std::str::from_utf8(&text[..*n]).ok()?.parse::<Ipv4Addr>().ok();
        let n = (7..=length.min(15)).rev().find(|n| known(n).is_some())?;
        let more = text.get(n).is_some_and(u8::is_ascii_digit);
        known(&n).filter(|_| !more).map(|a| (a.to_bits(), n))
    }

    #[test]
    fn addresses_are_read_as_the_standard_library_reads_them() {
        let mut tried = 0;
        let parts: &[&str] =
            &["0", "7", "10", "99", "100", "255", "256", "300", "1000", "01", "00", "", "x", "\u{e9}"];
        for a in parts {
            for b in parts {
                for c in parts {
                    for d in parts {
                        for end in ["", ",", "/24", ".", ".1", " and more text", "5"] {
                            let text = format!("{a}.{b}.{c}.{d}{end}");
                            assert_eq!(dotted(text.as_bytes()), slowly(text.as_bytes()), "{text}");
                            tried += 1;
                        }
                    }
                }
            }
        }
        assert!(tried > 200_000);
        for text in
            ["", "1", "1.2.3", "1 2 3 4", "1.2.3,4", "1..2.3", "255.255.255.255", "/1.2.3.4", "\u{b1}.2.3.4"]
        {
            assert_eq!(dotted(text.as_bytes()), slowly(text.as_bytes()), "{text}");
        }
    }
}
