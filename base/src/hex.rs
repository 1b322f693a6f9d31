//! Hexadecimal text (RFC 4648 section 8).

/// Two digits for each octet, in lower case.
pub fn hex(octets: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    octets
        .iter()
        .flat_map(|octet| [digit(octet >> 4), digit(octet & 0xf)])
        .collect()
}

/// Sixteen octets in the form of a UUID (RFC 9562 section 4).
pub fn uuid(octets: &[u8; 16]) -> String {
    let digits = hex(octets);
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups.map(|group| &digits[group]).join("-")
}

/// The octets of digits in either case; none when a digit is missing or is something else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|&[high, low]| u8::try_from(digit(high)? << 4 | digit(low)?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_are_read_in_either_case_and_nothing_else_is() {
        assert_eq!(hex(&[0, 0xab, 0xff]), "00abff");
        assert_eq!(unhex("00aBFf"), Some(vec![0, 0xab, 0xff]));
        assert_eq!(unhex(""), Some(Vec::new()));
        for bad in ["0", "abc", "+f", "0g", " 0", "é"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_uuid_has_five_groups() {
        let octets = std::array::from_fn(|at| at as u8 * 0x11);
        assert_eq!(uuid(&octets), "00112233-4455-6677-8899-aabbccddeeff");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(octets: Vec<u8>) {
            prop_assert_eq!(unhex(&hex(&octets)), Some(octets));
        }
    }
}
