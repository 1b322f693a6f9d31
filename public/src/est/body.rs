//! Bodies of EST: base64 of DER on both ways (RFC 8951 section 3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use landfast_base::Secret;
use landfast_pki::Csr;
use zeroize::Zeroizing;

use super::refusal::Refusal;

/// Octets of a request's body: an ML-DSA-87 request in base64 with line breaks is a seventh of it.
pub(crate) const MOST: usize = 64 * 1024;

/// The media type of requests.
pub(crate) const PKCS10: &str = "application/pkcs10";

/// Whether a `Content-Type` is this one, whatever its parameters and case.
pub(crate) fn is_kind(header: Option<&str>, kind: &str) -> bool {
    let essence = header.unwrap_or_default().split(';').next();
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(kind))
}

/// Reads base64 (RFC 4648 section 4), in which blanks, tabs and line ends are skipped wherever they stand (RFC 8951 section 3.1). What
/// `Content-Transfer-Encoding` says does not matter.
///
/// # Errors
/// It is something else, such as PEM or bare DER, or empty.
pub(crate) fn decode(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let text: Vec<u8> = body.iter().copied().filter(|one| !blank(one)).collect();
    if text.is_empty() {
        return Err(Refusal::bad(
            "the body is empty; send the request as base64 of its DER",
        ));
    }
    if text.starts_with(b"-----") {
        return Err(Refusal::bad(
            "the body is PEM; send base64 of the DER, without the lines BEGIN and END",
        ));
    }
    STANDARD.decode(&text).map_err(|_| {
        Refusal::bad("the body is not base64 (RFC 4648 section 4, padded); send base64 of the DER")
    })
}

/// Reads a certification request out of a body.
///
/// # Errors
/// Not base64, no request, or more than one.
pub(crate) fn request(body: &[u8]) -> Result<Csr, Refusal> {
    let der = decode(body)?;
    Csr::from_der(&der)
        .map_err(|error| Refusal::bad(format!("the body is no PKCS#10 request: {error}")))
}

/// Writes base64 in one line: readers of RFC 8951 skip white space, others that are in use do not.
pub(crate) fn encode(der: &[u8]) -> Bytes {
    Bytes::from(STANDARD.encode(der))
}

/// The same of something secret, in a buffer that never grows: no copy of it is left behind.
pub(crate) fn encode_secret(der: &Secret<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(vec![0; der.expose().len().div_ceil(3) * 4]);
    let written = STANDARD.encode_slice(der.expose(), text.as_mut_slice());
    // There is room for all of it.
    let length = written.unwrap_or_default();
    text.truncate(length);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(body: &[u8]) -> String {
        request(body).expect_err("refused").text
    }

    #[test]
    fn white_space_is_skipped_wherever_it_stands() {
        for body in ["AQID", "AQ\r\nID\r\n", " A\tQ I D", "\nAQID"] {
            assert_eq!(decode(body.as_bytes()).unwrap(), [1, 2, 3], "{body:?}");
        }
        assert_eq!(decode(b"AQI=").unwrap(), [1, 2]);
    }

    #[test]
    fn what_is_not_base64_is_refused_with_what_to_send() {
        assert!(reason(b"").contains("is empty"));
        assert!(reason(b" \r\n").contains("is empty"));
        assert!(reason(b"-----BEGIN CERTIFICATE REQUEST-----\nAQID\n").contains("is PEM"));
        for body in [&b"AQ"[..], b"AQID====", b"A_-D", b"AQ\0ID", b"\x30\x82\x01"] {
            assert!(reason(body).contains("is not base64"), "{body:?}");
        }
        assert!(reason(b"AQID").contains("is no PKCS#10 request"));
    }

    #[test]
    fn media_types_have_parameters_and_no_case() {
        for good in [
            "application/pkcs10",
            "Application/PKCS10; charset=utf-8",
            " application/pkcs10 ",
        ] {
            assert!(is_kind(Some(good), PKCS10), "{good}");
        }
        for bad in [
            None,
            Some(""),
            Some("application/pkcs10x"),
            Some("text/plain; application/pkcs10"),
        ] {
            assert!(!is_kind(bad, PKCS10), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_is_one_line(der in proptest::collection::vec(any::<u8>(), 1..500)) {
            let text = encode(&der);
            prop_assert_eq!(&decode(&text).unwrap(), &der);
            prop_assert_eq!(&*encode_secret(&Secret::new(der)), &text[..]);
            prop_assert!(!text.iter().any(u8::is_ascii_whitespace));
        }

        #[test]
        fn no_body_is_more_than_a_refusal(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = request(&body);
        }

        #[test]
        fn no_der_is_more_than_a_refusal(der in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = request(&encode(&der));
        }
    }
}
