//! PEM text (RFC 7468), read as leniently as the built-in engine reads it.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::Error;

/// One block of PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands between `BEGIN` and the dashes.
    pub label: String,
    /// The decoded body, wiped on drop because it may be a private key.
    pub contents: Zeroizing<Vec<u8>>,
    /// Whether the block's headers (RFC 1421) say that the body is encrypted.
    pub encrypted: bool,
    /// Where the block starts in the text.
    pub start: usize,
    /// Where the text after the block starts.
    pub end: usize,
}

impl Block {
    /// Whether it is a private key that is encrypted, by its label (RFC 7468 section 11) or its headers.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted || self.label == "ENCRYPTED PRIVATE KEY"
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({}, {} octets)", self.label, self.contents.len())
    }
}

/// All blocks of `text`, in order.
///
/// Text around the blocks, headers in them, blanks, both line ends and a byte order mark in front of a block are accepted; what only looks like a
/// block is passed over. The work grows with the length of the text only.
pub fn blocks(text: &[u8]) -> Vec<Block> {
    let mut found = Vec::new();
    let mut begin = find_line(text, 0, BEGIN);
    let mut end = find_line(text, 0, END);
    while let Some(start) = begin {
        let body = start + BEGIN.len();
        begin = find_line(text, body, BEGIN);
        if end.is_some_and(|end| end < body) {
            end = find_line(text, body, END);
        }
        let Some(end) = end else { break };
        // A block without its end is followed by another one: only the last can be whole.
        if begin.is_none_or(|next| next > end) {
            found.extend(block(text, start, end));
        }
    }
    found
}

/// The contents of the first block, which must carry one of the labels.
///
/// # Errors
/// No block, or one of another label.
pub fn one(text: &[u8], labels: &'static [&'static str]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let start = blocks(text).into_iter().next().ok_or(Error::Pem)?;
    if labels.contains(&start.label.as_str()) {
        Ok(start.contents)
    } else {
        Err(Error::PemLabel {
            expected: labels.first().copied().unwrap_or_default(),
        })
    }
}

/// PEM of `der` in lines of 64 characters, with a final newline.
///
/// The text is made in one allocation, so that it can be put into a [`Secret`](crate::Secret) without leaving copies.
pub fn encode(label: &str, der: &[u8]) -> String {
    let base64 = der.len().div_ceil(3) * 4;
    let mut text = String::with_capacity(base64 + base64.div_ceil(64) + 2 * label.len() + 32);
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut line = Zeroizing::new([0; 64]);
    for chunk in der.chunks(48) {
        let length = LENIENT
            .encode_slice(chunk, &mut line[..])
            .expect("48 octets make 64 characters");
        text.push_str(std::str::from_utf8(&line[..length]).expect("base64 is ASCII"));
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// Where the next line starts that begins with `marker`, from `at` on.
fn find_line(text: &[u8], at: usize, marker: &[u8]) -> Option<usize> {
    let mut from = at;
    loop {
        let start = from + find(text.get(from..)?, marker)?;
        let before = text[..start].strip_suffix(MARK).unwrap_or(&text[..start]);
        if before.last().is_none_or(|octet| *octet == b'\n') {
            return Some(start);
        }
        from = start + marker.len();
    }
}

/// Reads the block whose first line is at `start` and whose last one is at `end_line`, if it is one.
fn block(text: &[u8], start: usize, end_line: usize) -> Option<Block> {
    let (first, mut at) = line(text, start + BEGIN.len());
    let label = std::str::from_utf8(first.strip_suffix(DASHES)?).ok()?;
    let (last, end) = line(text, end_line + END.len());
    if last.strip_suffix(DASHES)? != label.as_bytes() {
        return None;
    }
    let mut encrypted = false;
    while at < end_line {
        let (header, next) = line(text, at);
        if !header.contains(&b':') {
            break;
        }
        encrypted |= header.starts_with(b"Proc-Type:") && find(header, b"ENCRYPTED").is_some();
        at = next;
    }
    let body = text
        .get(at..end_line)?
        .iter()
        .copied()
        .filter(|octet| !octet.is_ascii_whitespace());
    let mut compact = Zeroizing::new(Vec::with_capacity(end_line - at));
    compact.extend(body);
    let mut contents = Zeroizing::new(vec![0; base64::decoded_len_estimate(compact.len())]);
    let length = LENIENT.decode_slice(&compact[..], &mut contents[..]).ok()?;
    contents.truncate(length);
    Some(Block {
        label: label.to_owned(),
        contents,
        encrypted,
        start,
        end,
    })
}

/// The line at `at` without line end and trailing blanks, and where the next one starts.
fn line(text: &[u8], at: usize) -> (&[u8], usize) {
    let rest = text.get(at..).unwrap_or_default();
    let (line, next) = match rest.iter().position(|octet| *octet == b'\n') {
        Some(newline) => (&rest[..newline], at + newline + 1),
        None => (rest, at + rest.len()),
    };
    (line.trim_ascii_end(), next)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// A byte order mark in UTF-8, which editors of Windows put in front of a file.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Ignores bits beyond the last octet, as Go does.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests;
