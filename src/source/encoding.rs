//! Texts that are not UTF-8.

/// The byte order mark that some editors put before a text in UTF-8.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// UTF-16 with a byte order mark (Windows tools write it) as UTF-8; everything else as it is. Half a character at the end, as in a part
/// of a file, shows as U+FFFD.
pub fn to_utf8(bytes: Vec<u8>) -> Vec<u8> {
    let unit: fn([u8; 2]) -> u16 = match bytes.get(..2) {
        Some([0xff, 0xfe]) if bytes.get(2..4) != Some(&[0, 0]) => u16::from_le_bytes,
        Some([0xfe, 0xff]) => u16::from_be_bytes,
        _ => return bytes,
    };
    let units = bytes[2..].chunks_exact(2).map(|c| unit([c[0], c[1]]));
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    text.into_bytes()
}

/// Whether a file is kept in UTF-16.
pub fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_of_both_orders_is_read() {
        for (mark, bytes) in
            [([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]), ([0xfe, 0xff], u16::to_be_bytes)]
        {
            let mut file = mark.to_vec();
            file.extend("{\"é😀\": 1}".encode_utf16().flat_map(bytes));
            assert!(is_utf16(&file));
            assert_eq!(to_utf8(file.clone()), "{\"é😀\": 1}".as_bytes());
            file.pop();
            assert!(to_utf8(file).starts_with("{\"é😀\"".as_bytes()), "a part of a file");
        }
        for other in [&b""[..], b"\xff", b"plain", b"\xff\xfe\0\0x\0\0\0", b"\xef\xbb\xbf{}"] {
            assert_eq!(to_utf8(other.to_vec()), other);
        }
    }
}
