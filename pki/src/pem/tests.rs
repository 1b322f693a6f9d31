use proptest::prelude::*;

use super::*;

#[test]
fn blocks_survive_surrounding_text_line_ends_and_headers() {
    let text = b"Bag Attributes\r\n  friendlyName: x\r\n-----BEGIN A-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: x\r\n\r\nAQID\r\n-----END A-----\r\nnoise -----BEGIN \n-----BEGIN B B-----\nBA\n U G\n-----END B B-----";
    let found = blocks(text);
    assert_eq!(found.len(), 2);
    assert_eq!(
        (
            found[0].label.as_str(),
            &found[0].contents[..],
            found[0].encrypted
        ),
        ("A", &[1, 2, 3][..], true)
    );
    assert_eq!(
        (
            found[1].label.as_str(),
            &found[1].contents[..],
            found[1].encrypted
        ),
        ("B B", &[4, 5, 6][..], false)
    );
    assert!(text[found[1].start..].starts_with(BEGIN));
    assert_eq!(found[1].end, text.len());
}

#[test]
fn broken_blocks_are_passed_over() {
    let text = "-----BEGIN A-----\n????\n-----END A-----\n-----BEGIN A-----\nAQID\n-----END B-----\n-----BEGIN C-----\nAQID\n-----END C-----\n";
    let found = blocks(text.as_bytes());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].label, "C");
    assert!(blocks(b"-----BEGIN A-----\nAQID\n").is_empty());
    assert!(blocks(b"-----BEGIN ").is_empty());
}

#[test]
fn the_label_must_be_the_wanted_one() {
    let text = encode("CERTIFICATE", b"x");
    assert_eq!(
        one(text.as_bytes(), &["CERTIFICATE"]).unwrap()[..],
        b"x"[..]
    );
    assert_eq!(
        one(text.as_bytes(), &["X509 CRL"]),
        Err(Error::PemLabel {
            expected: "X509 CRL"
        })
    );
    assert_eq!(one(b"", &["X509 CRL"]), Err(Error::Pem));
}

#[test]
fn a_block_without_end_does_not_hide_the_next_one() {
    let text = format!("-----BEGIN A-----\nAQID\n{}", encode("B", b"y"));
    let found = blocks(text.as_bytes());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].label, "B");
}

proptest! {
    #[test]
    fn what_is_written_is_read(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        let text = encode("X", &data);
        prop_assert!(text.lines().all(|line| line.len() <= 64));
        prop_assert_eq!(&one(text.as_bytes(), &["X"]).unwrap()[..], &data[..]);
        let windows = text.replace('\n', "\r\n");
        prop_assert_eq!(&one(windows.as_bytes(), &["X"]).unwrap()[..], &data[..]);
    }

    #[test]
    fn any_text_is_read_without_panic(parts in proptest::collection::vec(
        prop_oneof!["-----BEGIN ", "-----END ", "-----", "A", "\n", "\r\n", "AQID", ":", " ", ".*"], 0..24,
    )) {
        for block in blocks(parts.concat().as_bytes()) {
            prop_assert!(block.start < block.end);
        }
    }
}
