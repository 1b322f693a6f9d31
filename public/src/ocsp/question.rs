//! What a client asks (RFC 6960 section 4.1.1).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use der::{Reader as _, SliceReader, Tag};

use super::{CertId, field, finish, inside, octets, optional};

/// Octets of a request beyond which it is not read; no mount reads more.
pub(crate) const MOST: usize = landfast_pki::ocsp::MAX_REQUEST;

/// What follows `ocsp/` in a path, beyond which it is not read: all of it percent-encoded.
const MOST_TEXT: usize = MOST.div_ceil(3) * 4 * 3;

/// Clients leave the padding out at times.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A request that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    der: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One certificate and nothing else, as RFC 5019 section 2.1 has it: the answer to one client is the answer to all.
    Plain,
    /// A nonce, several certificates, a name or a signature: only the mount knows what to make of it.
    Own,
}

impl Question {
    /// From the body of a POST.
    ///
    /// # Errors
    /// It is no request, or too large.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, der::Error> {
        if der.len() > MOST {
            return Err(der::ErrorKind::Overlength.into());
        }
        let mut r = SliceReader::new(der)?;
        let mut request = inside(&mut r, Tag::Sequence)?;
        finish(&r)?;
        let mut tbs = inside(&mut request, Tag::Sequence)?;
        let mut own = false;
        // OCSPRequest has a signature behind its content.
        if !request.is_finished() {
            own = true;
            octets(&mut request, field(0))?;
            finish(&request)?;
        }
        if let Some(version) = optional(&mut tbs, field(0))? {
            let mut version = SliceReader::new(version)?;
            own |= octets(&mut version, Tag::Integer)? != [0];
        }
        own |= optional(&mut tbs, field(1))?.is_some();
        let mut list = inside(&mut tbs, Tag::Sequence)?;
        own |= optional(&mut tbs, field(2))?.is_some();
        finish(&tbs)?;
        let mut first = None;
        while !list.is_finished() {
            let mut one = inside(&mut list, Tag::Sequence)?;
            let id = CertId::read(&mut one)?;
            own |= optional(&mut one, field(0))?.is_some() | first.is_some();
            finish(&one)?;
            first.get_or_insert(id);
        }
        let first = first.ok_or(der::ErrorKind::Failed)?;
        Ok(if own {
            Self {
                der: der.to_vec(),
                kind: Kind::Own,
            }
        } else {
            Self {
                der: plain(&first),
                kind: Kind::Plain,
            }
        })
    }

    /// From what follows `ocsp/` in a path (RFC 6960 appendix A.1). A client that does not encode the slashes of its base64 is understood too.
    pub(crate) fn from_path(text: &str) -> Option<Self> {
        if text.len() > MOST_TEXT {
            return None;
        }
        let mut text = percent_decoded(text.as_bytes())?;
        // The alphabet without slashes (RFC 4648 section 5) is taken too.
        for byte in &mut text {
            *byte = match *byte {
                b'-' => b'+',
                b'_' => b'/',
                other => other,
            };
        }
        Self::from_der(&BASE64.decode(text).ok()?).ok()
    }

    /// The request in DER; a plain one always in the same octets, however the client wrote it.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether an answer may be kept for others.
    pub(crate) fn is_plain(&self) -> bool {
        self.kind == Kind::Plain
    }

    /// The same in the alphabet without slashes, where the usual one has two of them in a row: HashiCorp Vault makes one of two, encoded or not. The built-in engine reads only
    /// the usual one.
    pub(crate) fn path_without_slashes(&self) -> Option<String> {
        let text = base64::engine::general_purpose::STANDARD.encode(&self.der);
        let text = text.contains("//").then_some(text)?;
        Some(text.replace('+', "-").replace('/', "_").replace('=', "%3D"))
    }

    /// As it stands in a path. A slash is encoded: a server makes one of two, and sends the client elsewhere.
    pub(crate) fn path(&self) -> String {
        let mut path = String::with_capacity(self.der.len() * 3 / 2);
        for c in base64::engine::general_purpose::STANDARD
            .encode(&self.der)
            .chars()
        {
            match c {
                '+' => path.push_str("%2B"),
                '/' => path.push_str("%2F"),
                '=' => path.push_str("%3D"),
                c => path.push(c),
            }
        }
        path
    }
}

/// The least request about a certificate. Its hash has NULL parameters, as most clients write it.
fn plain(id: &CertId<'_>) -> Vec<u8> {
    let algorithm = tlv(0x30, &[&tlv(0x06, &[id.hash]), &[0x05, 0]]);
    let name = tlv(0x04, &[id.name]);
    let key = tlv(0x04, &[id.key]);
    let serial = tlv(0x02, &[id.serial]);
    let id = tlv(0x30, &[&algorithm, &name, &key, &serial]);
    // Request, requestList, TBSRequest, OCSPRequest.
    (0..4).fold(id, |inner, _| tlv(0x30, &[&inner]))
}

/// A value in DER. Nothing here is longer than a request.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let [.., high, low] = length.to_be_bytes();
    let mut out = Vec::with_capacity(length + 4);
    out.push(tag);
    match length {
        0..0x80 => out.push(low),
        0x80..0x100 => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// RFC 3986 section 2.1; nothing where an escape is none.
fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [] => return Some(out),
            [b'%', high, low, after @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let byte = digit(*high)? * 16 + digit(*low)?;
                out.push(u8::try_from(byte).ok()?);
                rest = after;
            }
            [b'%', ..] => return None,
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

/// Reads any octets as both forms of a request, as a fuzz target does: nothing of it may panic, and what was read is written so that it is read the same.
pub(crate) fn try_any(bytes: &[u8]) {
    for question in [
        Question::from_der(bytes).ok(),
        std::str::from_utf8(bytes)
            .ok()
            .and_then(Question::from_path),
    ]
    .into_iter()
    .flatten()
    {
        let again = Question::from_path(&question.path());
        assert_eq!(
            again.as_ref(),
            Some(&question),
            "it is read as it was written"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
    const NONCE: &[u8] = &[
        0xa2, 0x16, 0x30, 0x14, 0x30, 0x12, 0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30,
        0x01, 0x02, 0x04, 0x05, 0x04, 0x03, 1, 2, 3,
    ];

    fn id(serial: &[u8], parameters: &[u8]) -> Vec<u8> {
        let algorithm = tlv(0x30, &[&tlv(0x06, &[SHA1]), parameters]);
        tlv(
            0x30,
            &[
                &algorithm,
                &tlv(0x04, &[&[1; 20]]),
                &tlv(0x04, &[&[2; 20]]),
                &tlv(0x02, &[serial]),
            ],
        )
    }

    fn request(before: &[u8], ids: &[Vec<u8>], after: &[u8], signature: &[u8]) -> Vec<u8> {
        let list: Vec<_> = ids.iter().flat_map(|id| tlv(0x30, &[id])).collect();
        let tbs = tlv(0x30, &[before, &tlv(0x30, &[&list]), after]);
        tlv(0x30, &[&tbs, signature])
    }

    #[test]
    fn one_certificate_and_nothing_else_is_plain_however_it_is_written() {
        let wanted = request(&[], &[id(&[7], &[5, 0])], &[], &[]);
        for der in [
            wanted.clone(),
            request(&[], &[id(&[7], &[])], &[], &[]),
            request(&[0xa0, 3, 2, 1, 0], &[id(&[7], &[5, 0])], &[], &[]),
        ] {
            let question = Question::from_der(&der).expect("a request");
            assert!(question.is_plain());
            assert_eq!(question.der(), wanted);
        }
    }

    #[test]
    fn what_only_the_mount_can_judge_is_passed_on_as_it_is() {
        let one = id(&[7], &[5, 0]);
        for der in [
            request(&[], std::slice::from_ref(&one), NONCE, &[]),
            request(&[], &[one.clone(), id(&[8], &[5, 0])], &[], &[]),
            request(&[0xa1, 2, 0x30, 0], std::slice::from_ref(&one), &[], &[]),
            request(&[], std::slice::from_ref(&one), &[], &[0xa0, 2, 0x30, 0]),
            request(&[0xa0, 3, 2, 1, 1], std::slice::from_ref(&one), &[], &[]),
        ] {
            let question = Question::from_der(&der).expect("a request");
            assert!(!question.is_plain());
            assert_eq!(question.der(), der);
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let good = request(&[], &[id(&[7], &[5, 0])], &[], &[]);
        for end in 0..good.len() {
            assert!(Question::from_der(&good[..end]).is_err(), "{end}");
        }
        let mut longer = good;
        longer.push(0);
        assert!(Question::from_der(&longer).is_err());
        assert!(
            Question::from_der(&request(&[], &[], &[], &[])).is_err(),
            "it asks nothing"
        );
        let large = id(&[1; MOST], &[5, 0]);
        assert!(Question::from_der(&request(&[], &[large], &[], &[])).is_err());
        assert!(Question::from_der(b"GET / HTTP/1.1").is_err());
    }

    #[test]
    fn paths_are_read_with_and_without_escapes() {
        let serial: Vec<u8> = (1..=u8::MAX).collect();
        let der = request(&[], &[id(&serial, &[5, 0])], &[], &[]);
        let question = Question::from_der(&der).expect("a request");
        let plain = base64::engine::general_purpose::STANDARD.encode(&der);
        assert!(plain.contains('/') && plain.contains('+'), "{plain}");
        for text in [
            plain.as_str(),
            &plain.replace('+', "-").replace('/', "_"),
            plain.trim_end_matches('='),
            &question.path(),
            &question.path().replace("%2F", "%2f"),
        ] {
            assert_eq!(
                Question::from_path(text).as_ref(),
                Some(&question),
                "{text}"
            );
        }
        for bad in [
            "",
            "%",
            "%2",
            "%zz",
            "AAAA",
            "not base64!",
            &"A".repeat(MOST_TEXT + 1),
        ] {
            assert_eq!(Question::from_path(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(bytes: Vec<u8>, text in ".{0,80}") {
            try_any(&bytes);
            try_any(text.as_bytes());
        }

        #[test]
        fn a_damaged_request_is_read_or_refused(at: prop::sample::Index, byte: u8, serial in prop::collection::vec(any::<u8>(), 1..30)) {
            let mut serial = serial;
            serial.insert(0, 1);
            let mut der = request(&[], &[id(&serial, &[5, 0])], NONCE, &[]);
            let at = at.index(der.len());
            der[at] = byte;
            try_any(&der);
        }
    }
}
