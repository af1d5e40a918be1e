//! IPv4 addresses in dotted decimal, read from bytes: large dumps hold little else.

// In each byte: a zero digit, all bits but the highest, the highest, and what takes ten and more over to the highest.
const ZERO: u128 = each(b'0');
const LOW: u128 = each(0x7f);
const HIGH: u128 = each(0x80);
const TEN: u128 = each(0x80 - 10);

const fn each(byte: u8) -> u128 {
    u128::from_le_bytes([byte; 16])
}

/// The address that a text begins with, four decimal numbers of at most 255 without leading zeros, and its length. `None` if the text
/// begins otherwise. What stands behind the address is not looked at, but it is no digit.
#[inline]
pub fn dotted(text: &[u8]) -> Option<(u32, usize)> {
    let mut window = [0; 16];
    match text.first_chunk::<16>() {
        Some(all) => window = *all,
        None => window[..text.len()].copy_from_slice(text),
    }
    let window = u128::from_le_bytes(window);
    let digits = window ^ ZERO;
    // The highest bit of each byte that is no digit.
    let mut others = (((digits & LOW) + TEN) | digits) & HIGH;
    let (mut address, mut start) = (0, 0);
    for part in 0..4 {
        let end = others.trailing_zeros() / 8;
        others &= others.wrapping_sub(1);
        let length = end - start;
        if !(1..=3).contains(&length) || (part < 3 && (window >> (8 * end)) as u8 != b'.') {
            return None;
        }
        // The digits of one number, the last one in the third byte.
        let number = (digits >> (8 * start)) as u32;
        if length > 1 && number & 0xff == 0 {
            return None;
        }
        let number = number << (8 * (3 - length));
        let value = 100 * (number & 0xf) + 10 * (number >> 8 & 0xf) + (number >> 16 & 0xf);
        if value > 255 {
            return None;
        }
        address = address << 8 | value;
        start = end + 1;
    }
    Some((address, start as usize - 1))
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
