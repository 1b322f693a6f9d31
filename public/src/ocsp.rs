//! OCSP as strangers speak it (RFC 6960, RFC 5019): what is asked, and what a mount answers.

mod answer;
mod question;

pub(crate) use answer::{Answer, try_answer};
pub(crate) use question::{MOST, Question, try_any};

use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, TagNumber};

/// Tag of a constructed field of a sequence.
const fn field(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

/// The next value, whatever it is.
fn any<'a>(r: &mut SliceReader<'a>) -> der::Result<AnyRef<'a>> {
    AnyRef::decode(r)
}

/// The content of the next value, which has this tag.
fn inside<'a>(r: &mut SliceReader<'a>, tag: Tag) -> der::Result<SliceReader<'a>> {
    SliceReader::new(octets(r, tag)?)
}

fn octets<'a>(r: &mut SliceReader<'a>, tag: Tag) -> der::Result<&'a [u8]> {
    let found = any(r)?;
    der::Tagged::tag(&found).assert_eq(tag)?;
    Ok(found.value())
}

/// The content of the next value if it has this tag.
fn optional<'a>(r: &mut SliceReader<'a>, tag: Tag) -> der::Result<Option<&'a [u8]>> {
    if r.is_finished() || Tag::peek(r)? != tag {
        return Ok(None);
    }
    octets(r, tag).map(Some)
}

/// Which certificate a question or an answer is about (RFC 6960 section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CertId<'a> {
    /// The hash's object identifier; its parameters say nothing.
    hash: &'a [u8],
    name: &'a [u8],
    key: &'a [u8],
    serial: &'a [u8],
}

impl<'a> CertId<'a> {
    fn read(r: &mut SliceReader<'a>) -> der::Result<Self> {
        let mut r = inside(r, Tag::Sequence)?;
        let mut algorithm = inside(&mut r, Tag::Sequence)?;
        let hash = octets(&mut algorithm, Tag::ObjectIdentifier)?;
        if !algorithm.is_finished() {
            any(&mut algorithm)?;
            finish(&algorithm)?;
        }
        let id = Self {
            hash,
            name: octets(&mut r, Tag::OctetString)?,
            key: octets(&mut r, Tag::OctetString)?,
            serial: octets(&mut r, Tag::Integer)?,
        };
        finish(&r)?;
        Ok(id)
    }
}

fn finish(r: &SliceReader<'_>) -> der::Result<()> {
    if r.is_finished() {
        Ok(())
    } else {
        Err(der::ErrorKind::TrailingData {
            decoded: r.position(),
            remaining: r.remaining_len(),
        }
        .into())
    }
}
