//! What enrolment by EST (RFC 7030) looks for in requests, and what its servers want to find there.

use der::{Reader, SliceReader};

use crate::ext::GeneralNames;
use crate::name::Name;
use crate::{Csr, Error, Oid, asn1};

mod wanted;

pub use wanted::Wanted;

/// What a ChangeSubjectName attribute names (RFC 6402 section 2.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSubjectName {
    /// The new subject.
    pub subject: Option<Name>,
    /// The new alternative names.
    pub names: Option<GeneralNames>,
}

impl Csr {
    /// What is in the set of values of an attribute (RFC 2986 section 4.1), as DER; none where the request has no such attribute.
    pub fn attribute(&self, oid: &Oid) -> Option<&[u8]> {
        let read = asn1::decode(self.info(), |r| asn1::value(r, asn1::SEQUENCE));
        let found = read.and_then(|body| {
            asn1::decode(body, |r| {
                asn1::number(r)?;
                asn1::raw_sequence(r)?;
                asn1::raw_sequence(r)?;
                let list = asn1::optional(r, asn1::context_constructed(0))?;
                attributes(list.unwrap_or_default())
            })
        });
        // The attributes could be read when the request was, so an error is none.
        let mut all = found.unwrap_or_default().into_iter();
        all.find(|(kind, _)| kind == oid).map(|(_, values)| values)
    }

    /// The names that the request wants in place of those of the certificate that it renews (ChangeSubjectName, RFC 6402 section 2.8).
    ///
    /// # Errors
    /// The attribute is broken.
    pub fn change_subject_name(&self) -> Result<Option<ChangeSubjectName>, Error> {
        let Some(values) = self.attribute(&CHANGE_SUBJECT_NAME) else {
            return Ok(None);
        };
        let broken = |why: der::Error| Error::malformed("ChangeSubjectName", why);
        let fields = asn1::decode(values, |r| asn1::value(r, asn1::SEQUENCE)).map_err(broken)?;
        // Neither part has a tag of its own: a subject is a list of sets, alternative names are a list of tagged values.
        let parts = asn1::decode(fields, |r| {
            let (mut subject, mut names) = (None, None);
            while let Some(asn1::SEQUENCE) = asn1::peek(r) {
                let part = asn1::raw_sequence(r)?;
                let content = asn1::decode(part, |r| asn1::value(r, asn1::SEQUENCE))?;
                let is_subject = content.first().is_none_or(|tag| *tag == asn1::SET);
                let place = if is_subject { &mut subject } else { &mut names };
                if place.replace(part).is_some() {
                    return Err(r.error(der::ErrorKind::Failed));
                }
            }
            Ok((subject, names))
        });
        let (subject, names) = parts.map_err(broken)?;
        if subject.is_none() && names.is_none() {
            return Err(Error::malformed("ChangeSubjectName", "it names nothing"));
        }
        Ok(Some(ChangeSubjectName {
            subject: subject.map(Name::from_der).transpose()?,
            names: names.map(GeneralNames::from_der).transpose()?,
        }))
    }
}

/// All attributes, each with what is in its set of values.
fn attributes(list: &[u8]) -> der::Result<Vec<(Oid, &[u8])>> {
    let mut found = Vec::new();
    let mut list = SliceReader::new(list)?;
    while !list.is_finished() {
        let mut attribute = SliceReader::new(asn1::value(&mut list, asn1::SEQUENCE)?)?;
        let oid = asn1::oid(&mut attribute)?;
        found.push((oid, asn1::value(&mut attribute, asn1::SET)?));
        attribute.finish()?;
    }
    Ok(found)
}

const CHANGE_SUBJECT_NAME: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.7.36");

#[cfg(test)]
mod tests;
