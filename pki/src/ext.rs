//! Certificate extensions (RFC 5280 section 4.2), written in the exact encodings of the built-in engine.
//!
//! Order and criticality are the caller's business: a builder here sets the usual criticality, and the list goes into
//! the certificate as it is given.

use der::{Reader, SliceReader};

use crate::asn1::{self, Writer};
use crate::{Error, Oid};

mod names;
mod usage;

pub use names::{GeneralNames, NameConstraints, OtherName, Subtrees};
pub use usage::{ExtKeyUsage, KeyUsage};

/// Object identifiers of extensions.
pub mod id {
    use crate::Oid;

    /// subjectKeyIdentifier.
    pub const SUBJECT_KEY_ID: Oid = Oid::new_unwrap("2.5.29.14");
    /// keyUsage.
    pub const KEY_USAGE: Oid = Oid::new_unwrap("2.5.29.15");
    /// subjectAltName.
    pub const SUBJECT_ALT_NAME: Oid = Oid::new_unwrap("2.5.29.17");
    /// basicConstraints.
    pub const BASIC_CONSTRAINTS: Oid = Oid::new_unwrap("2.5.29.19");
    /// cRLNumber.
    pub const CRL_NUMBER: Oid = Oid::new_unwrap("2.5.29.20");
    /// reasonCode of a CRL entry.
    pub const REASON_CODE: Oid = Oid::new_unwrap("2.5.29.21");
    /// invalidityDate of a CRL entry.
    pub const INVALIDITY_DATE: Oid = Oid::new_unwrap("2.5.29.24");
    /// deltaCRLIndicator.
    pub const DELTA_CRL_INDICATOR: Oid = Oid::new_unwrap("2.5.29.27");
    /// issuingDistributionPoint.
    pub const ISSUING_DISTRIBUTION_POINT: Oid = Oid::new_unwrap("2.5.29.28");
    /// nameConstraints.
    pub const NAME_CONSTRAINTS: Oid = Oid::new_unwrap("2.5.29.30");
    /// cRLDistributionPoints.
    pub const CRL_DISTRIBUTION_POINTS: Oid = Oid::new_unwrap("2.5.29.31");
    /// certificatePolicies.
    pub const CERTIFICATE_POLICIES: Oid = Oid::new_unwrap("2.5.29.32");
    /// authorityKeyIdentifier.
    pub const AUTHORITY_KEY_ID: Oid = Oid::new_unwrap("2.5.29.35");
    /// extKeyUsage.
    pub const EXT_KEY_USAGE: Oid = Oid::new_unwrap("2.5.29.37");
    /// freshestCRL.
    pub const FRESHEST_CRL: Oid = Oid::new_unwrap("2.5.29.46");
    /// authorityInfoAccess.
    pub const AUTHORITY_INFO_ACCESS: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.1.1");
}

/// One extension, ready to go into a certificate, request or CRL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its type.
    pub oid: Oid,
    /// Whether a reader that does not know it must refuse the certificate.
    pub critical: bool,
    /// The DER inside the OCTET STRING.
    pub value: Vec<u8>,
}

/// A certificate policy with its qualifiers (RFC 5280 section 4.2.1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The policy.
    pub oid: Oid,
    /// Where the practice statement is, as a URI.
    pub cps: Option<String>,
    /// A text to show.
    pub notice: Option<String>,
}

/// The content of a BasicConstraints extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether the subject is a CA.
    pub ca: bool,
    /// How many intermediate CAs may follow.
    pub path_len: Option<u32>,
}

impl Extension {
    /// keyUsage, critical.
    pub fn key_usage(usage: KeyUsage) -> Self {
        Self {
            oid: id::KEY_USAGE,
            critical: true,
            value: usage.to_der(),
        }
    }

    /// extKeyUsage, not critical, the purposes in the order given.
    pub fn ext_key_usage(purposes: &[Oid]) -> Self {
        let value = asn1::encode(|w| w.sequence(|w| purposes.iter().for_each(|oid| w.oid(oid))));
        Self {
            oid: id::EXT_KEY_USAGE,
            critical: false,
            value,
        }
    }

    /// basicConstraints, critical. A path length is written for a CA only.
    pub fn basic_constraints(ca: bool, path_len: Option<u32>) -> Self {
        let value = asn1::encode(|w| {
            w.sequence(|w| {
                if ca {
                    w.boolean(true);
                    if let Some(length) = path_len {
                        w.number(length.into());
                    }
                }
            });
        });
        Self {
            oid: id::BASIC_CONSTRAINTS,
            critical: true,
            value,
        }
    }

    /// subjectKeyIdentifier, not critical.
    pub fn subject_key_id(key_id: &[u8]) -> Self {
        let value = asn1::encode(|w| w.octet_string(key_id));
        Self {
            oid: id::SUBJECT_KEY_ID,
            critical: false,
            value,
        }
    }

    /// authorityKeyIdentifier, not critical, with the key identifier alone.
    pub fn authority_key_id(key_id: &[u8]) -> Self {
        let value = asn1::encode(|w| w.sequence(|w| w.tlv(asn1::context(0), key_id)));
        Self {
            oid: id::AUTHORITY_KEY_ID,
            critical: false,
            value,
        }
    }

    /// authorityInfoAccess, not critical: the OCSP responders, then the places of the issuer's certificate.
    pub fn authority_info_access(ocsp: &[String], ca_issuers: &[String]) -> Self {
        let value = asn1::encode(|w| {
            w.sequence(|w| {
                for (method, uris) in [(&OCSP, ocsp), (&CA_ISSUERS, ca_issuers)] {
                    for uri in uris {
                        w.sequence(|w| {
                            w.oid(method);
                            w.tlv(asn1::context(6), uri.as_bytes());
                        });
                    }
                }
            });
        });
        Self {
            oid: id::AUTHORITY_INFO_ACCESS,
            critical: false,
            value,
        }
    }

    /// subjectAltName; critical where the subject is empty (RFC 5280 section 4.2.1.6).
    pub fn subject_alt_name(names: &GeneralNames, critical: bool) -> Self {
        Self {
            oid: id::SUBJECT_ALT_NAME,
            critical,
            value: names.to_der(),
        }
    }

    /// cRLDistributionPoints, not critical, one distribution point a URI.
    pub fn crl_distribution_points(uris: &[String]) -> Self {
        Self {
            oid: id::CRL_DISTRIBUTION_POINTS,
            critical: false,
            value: distribution_points(uris),
        }
    }

    /// freshestCRL, not critical: where delta CRLs are.
    pub fn freshest_crl(uris: &[String]) -> Self {
        Self {
            oid: id::FRESHEST_CRL,
            critical: false,
            value: distribution_points(uris),
        }
    }

    /// certificatePolicies, not critical.
    pub fn certificate_policies(policies: &[Policy]) -> Self {
        let value = asn1::encode(|w| {
            w.sequence(|w| {
                for policy in policies {
                    w.sequence(|w| policy.write(w));
                }
            });
        });
        Self {
            oid: id::CERTIFICATE_POLICIES,
            critical: false,
            value,
        }
    }

    /// nameConstraints.
    pub fn name_constraints(constraints: &NameConstraints, critical: bool) -> Self {
        Self {
            oid: id::NAME_CONSTRAINTS,
            critical,
            value: constraints.to_der(),
        }
    }

    /// Reads an Extensions sequence, as in a certificate or an extension request.
    ///
    /// # Errors
    /// Broken structure, or one type twice (RFC 5280 section 4.2).
    pub fn list_from_der(der: &[u8]) -> Result<Vec<Self>, Error> {
        let mut list: Vec<Self> = Vec::new();
        walk(der, |oid, critical, value| {
            list.push(Self {
                oid,
                critical,
                value: value.to_vec(),
            });
        })
        .map_err(|why| Error::malformed("extensions", why))?;
        refuse_duplicates(list.iter().map(|one| one.oid))?;
        Ok(list)
    }

    /// Writes an Extensions sequence.
    pub(crate) fn write_list(w: &mut Writer, extensions: &[Self]) {
        w.sequence(|w| extensions.iter().for_each(|extension| extension.write(w)));
    }

    fn write(&self, w: &mut Writer) {
        w.sequence(|w| {
            w.oid(&self.oid);
            if self.critical {
                w.boolean(true);
            }
            w.octet_string(&self.value);
        });
    }
}

impl Policy {
    /// A policy without qualifiers.
    pub const fn new(oid: Oid) -> Self {
        Self {
            oid,
            cps: None,
            notice: None,
        }
    }

    fn write(&self, w: &mut Writer) {
        w.oid(&self.oid);
        if self.cps.is_none() && self.notice.is_none() {
            return;
        }
        w.sequence(|w| {
            if let Some(cps) = &self.cps {
                w.sequence(|w| {
                    w.oid(&CPS);
                    w.tlv(asn1::IA5_STRING, cps.as_bytes());
                });
            }
            if let Some(notice) = &self.notice {
                w.sequence(|w| {
                    w.oid(&USER_NOTICE);
                    w.sequence(|w| w.tlv(asn1::UTF8_STRING, notice.as_bytes()));
                });
            }
        });
    }
}

impl BasicConstraints {
    /// Reads the extension's value.
    ///
    /// # Errors
    /// Broken structure, or a path length beyond reason.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let read = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).and_then(|body| {
            asn1::decode(body, |r| {
                let ca = asn1::peek(r) == Some(asn1::BOOLEAN) && asn1::boolean(r)?;
                let path_len = match asn1::peek(r) {
                    Some(asn1::INTEGER) => Some(asn1::number(r)?),
                    _ => None,
                };
                Ok((ca, path_len))
            })
        });
        let (ca, path_len) = read.map_err(|why| Error::malformed("basic constraints", why))?;
        let path_len = path_len.map(u32::try_from).transpose();
        let path_len =
            path_len.map_err(|_| Error::malformed("basic constraints", "path length"))?;
        Ok(Self { ca, path_len })
    }
}

/// The URIs of a cRLDistributionPoints or freshestCRL value; points that are not URIs are left out.
///
/// # Errors
/// Broken structure.
pub fn distribution_point_uris(der: &[u8]) -> Result<Vec<String>, Error> {
    let mut uris = Vec::new();
    let read = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).and_then(|body| {
        let mut points = SliceReader::new(body)?;
        while !points.is_finished() {
            let mut point = SliceReader::new(asn1::value(&mut points, asn1::SEQUENCE)?)?;
            let Some(name) = asn1::optional(&mut point, asn1::context_constructed(0))? else {
                continue;
            };
            let mut name = SliceReader::new(name)?;
            let Some(full) = asn1::optional(&mut name, asn1::context_constructed(0))? else {
                continue;
            };
            let mut names = SliceReader::new(full)?;
            while !names.is_finished() {
                match asn1::optional(&mut names, asn1::context(6))? {
                    Some(uri) => uris.push(String::from_utf8_lossy(uri).into_owned()),
                    None => drop(names.tlv_bytes()?),
                }
            }
        }
        Ok(())
    });
    read.map_err(|why| Error::malformed("distribution points", why))?;
    Ok(uris)
}

/// The OCSP and issuer-certificate URIs of an authorityInfoAccess value.
///
/// # Errors
/// Broken structure.
pub fn access_uris(der: &[u8]) -> Result<(Vec<String>, Vec<String>), Error> {
    let (mut ocsp, mut issuers) = (Vec::new(), Vec::new());
    let read = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).and_then(|body| {
        let mut descriptions = SliceReader::new(body)?;
        while !descriptions.is_finished() {
            let mut one = SliceReader::new(asn1::value(&mut descriptions, asn1::SEQUENCE)?)?;
            let method = asn1::oid(&mut one)?;
            if let Some(uri) = asn1::optional(&mut one, asn1::context(6))? {
                let uri = String::from_utf8_lossy(uri).into_owned();
                match method {
                    OCSP => ocsp.push(uri),
                    CA_ISSUERS => issuers.push(uri),
                    _ => {}
                }
            }
        }
        Ok(())
    });
    read.map_err(|why| Error::malformed("authority info access", why))?;
    Ok((ocsp, issuers))
}

/// The key identifier of an authorityKeyIdentifier value, if it has one.
///
/// # Errors
/// Broken structure.
pub fn authority_key_id(der: &[u8]) -> Result<Option<&[u8]>, Error> {
    asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE))
        .and_then(|body| asn1::optional(&mut SliceReader::new(body)?, asn1::context(0)))
        .map_err(|why| Error::malformed("authority key identifier", why))
}

/// Calls `visit` with type, criticality and value of each extension.
pub(crate) fn walk<'a>(
    der: &'a [u8],
    mut visit: impl FnMut(Oid, bool, &'a [u8]),
) -> der::Result<()> {
    let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE))?;
    let mut list = SliceReader::new(body)?;
    while !list.is_finished() {
        let mut one = SliceReader::new(asn1::value(&mut list, asn1::SEQUENCE)?)?;
        let oid = asn1::oid(&mut one)?;
        let critical = asn1::peek(&one) == Some(asn1::BOOLEAN) && asn1::boolean(&mut one)?;
        let value = asn1::value(&mut one, asn1::OCTET_STRING)?;
        one.finish()?;
        visit(oid, critical, value);
    }
    Ok(())
}

/// RFC 5280 section 4.2: no extension twice.
pub(crate) fn refuse_duplicates(oids: impl Iterator<Item = Oid>) -> Result<(), Error> {
    let mut sorted: Vec<Oid> = oids.collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::malformed(
            "extensions",
            "one extension is there twice",
        ));
    }
    Ok(())
}

fn distribution_points(uris: &[String]) -> Vec<u8> {
    asn1::encode(|w| {
        w.sequence(|w| {
            for uri in uris {
                w.sequence(|w| {
                    w.nested(asn1::context_constructed(0), |w| {
                        w.nested(asn1::context_constructed(0), |w| {
                            w.tlv(asn1::context(6), uri.as_bytes());
                        });
                    });
                });
            }
        });
    })
}

const OCSP: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1");
const CA_ISSUERS: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.2");
const CPS: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.2.1");
const USER_NOTICE: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.2.2");

#[cfg(test)]
mod tests;
