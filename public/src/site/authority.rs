//! The certificates of an issuer, in every form in which they are given out.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::body::Bytes;
use landfast_pki::Certificate;
use serde_json::{Value, json};

use crate::certs_only::{self, certs_only};
use crate::sheet::Sheet;
use crate::slot::Dated;

/// RFC 2585 section 3, and what servers call the PEM form.
const DER: &str = "application/pkix-cert";
const PEM: &str = "application/pem-certificate-chain";

/// An issuer's certificate, and those above it.
#[derive(Debug)]
pub(crate) struct Authority {
    /// The server's id of the issuer.
    pub(crate) id: Arc<str>,
    /// Since when this issuer stands at its path, in seconds since 1970; 0 if it was never seen otherwise.
    pub(crate) since: i64,
    /// Its own certificate first.
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) ca: Arc<Sheet>,
    pub(crate) ca_pem: Arc<Sheet>,
    pub(crate) ca_p7c: Arc<Sheet>,
    pub(crate) chain_pem: Arc<Sheet>,
    pub(crate) chain_p7c: Arc<Sheet>,
    /// The self-signed certificate at the end of the chain, if the mount has it.
    pub(crate) anchor: Option<[Arc<Sheet>; 2]>,
    until: i64,
}

impl Dated for Authority {
    fn valid_until(&self) -> i64 {
        self.until
    }
}

impl Authority {
    /// Reads what `issuer/REF/json` answers.
    ///
    /// # Errors
    /// What is wrong with it, for the audit log.
    pub(crate) fn read(body: &[u8], before: Option<&Self>, now: i64) -> Result<Self, String> {
        let answer: Value =
            serde_json::from_slice(body).map_err(|_| "an answer that is no JSON")?;
        let data = answer.get("data").ok_or("an answer without data")?;
        let id = data.get("issuer_id").and_then(Value::as_str);
        let id = id.ok_or("an answer without the id of the issuer")?;
        let own = data.get("certificate").and_then(Value::as_str);
        let own = own.ok_or("an answer without a certificate")?;
        let read = |pem: &str| {
            Certificate::from_pem(pem.as_bytes()).map_err(|error| {
                format!("a certificate of issuer {id} that cannot be read: {error}")
            })
        };
        let own = read(own)?;
        let mut certificates = vec![own];
        let chain = data.get("ca_chain").and_then(Value::as_array);
        for pem in chain.into_iter().flatten().filter_map(Value::as_str) {
            let next = read(pem)?;
            // A chain begins with the issuer itself.
            if !certificates.contains(&next) {
                certificates.push(next);
            }
        }
        Ok(Self::new(id.into(), certificates, before, now))
    }

    fn new(id: Arc<str>, certificates: Vec<Certificate>, before: Option<&Self>, now: i64) -> Self {
        let own = &certificates[0];
        let end = own.not_after().as_second();
        // A CA that is over is given out as long as the server has it.
        let until = if end > now { end } else { i64::MAX };
        let made = own.not_before().as_second();
        // Since when a form is as it is: what was the same before keeps its date, and of what nobody has seen before nothing older than `first` is claimed.
        let sheet = |body: Vec<u8>, kind, first: i64, old: Option<&Arc<Sheet>>| {
            let modified = match old {
                Some(old) if **old.body() == *body => old.modified(),
                Some(_) => now,
                None => first,
            };
            Arc::new(Sheet::new(Bytes::from(body), kind, modified, until))
        };
        let all = || certificates.iter().map(Certificate::der);
        let pem: String = certificates.iter().map(Certificate::pem).collect();
        let anchor = certificates.iter().rfind(|one| one.is_self_signed());
        let old = before.and_then(|before| before.anchor.as_ref());
        let anchor = anchor.map(|anchor| {
            [
                sheet(anchor.der().to_vec(), DER, now, old.map(|old| &old[0])),
                sheet(anchor.pem().into(), PEM, now, old.map(|old| &old[1])),
            ]
        });
        Self {
            since: match before {
                Some(before) if before.id == id => before.since,
                Some(_) => now,
                None => 0,
            },
            ca: sheet(own.der().to_vec(), DER, made, before.map(|old| &old.ca)),
            ca_pem: sheet(own.pem().into(), PEM, made, before.map(|old| &old.ca_pem)),
            ca_p7c: sheet(
                certs_only([own.der()]),
                certs_only::KIND,
                made,
                before.map(|old| &old.ca_p7c),
            ),
            chain_pem: sheet(pem.into(), PEM, now, before.map(|old| &old.chain_pem)),
            chain_p7c: sheet(
                certs_only(all()),
                certs_only::KIND,
                now,
                before.map(|old| &old.chain_p7c),
            ),
            anchor,
            until,
            id,
            certificates,
        }
    }

    /// The same in the form that [`Self::read`] reads.
    pub(crate) fn written(&self) -> Vec<u8> {
        let chain: Vec<String> = self.certificates.iter().map(Certificate::pem).collect();
        let data = json!({"issuer_id": &*self.id, "certificate": chain[0], "ca_chain": chain});
        json!({ "data": data }).to_string().into_bytes()
    }

    /// The issuer's own certificate.
    pub(crate) fn certificate(&self) -> &Certificate {
        // There is always one: see `read`.
        &self.certificates[0]
    }
}

/// The issuers of a mount, by id and by name.
#[derive(Debug)]
pub(crate) struct Index {
    /// In the order of the mount, each with its name if it has one.
    issuers: Vec<(Arc<str>, Option<String>)>,
    by_reference: HashMap<String, Arc<str>>,
}

impl Dated for Index {
    fn valid_until(&self) -> i64 {
        i64::MAX
    }
}

impl Index {
    /// Reads what a list of `issuers` answers.
    ///
    /// # Errors
    /// What is wrong with it, for the audit log.
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let answer: Value = serde_json::from_slice(body).map_err(|_| "a list that is no JSON")?;
        let data = answer.get("data").ok_or("a list without data")?;
        let keys = data.get("keys").and_then(Value::as_array);
        let (mut issuers, mut by_reference) = (Vec::new(), HashMap::new());
        for id in keys.into_iter().flatten().filter_map(Value::as_str) {
            let id: Arc<str> = id.into();
            let name = data.pointer(&format!("/key_info/{id}/issuer_name"));
            let name = name.and_then(Value::as_str).filter(|name| !name.is_empty());
            if let Some(name) = name {
                by_reference.insert(name.to_owned(), id.clone());
            }
            by_reference.insert(id.to_string(), id.clone());
            issuers.push((id, name.map(str::to_owned)));
        }
        Ok(Self {
            issuers,
            by_reference,
        })
    }

    /// The same in the form that [`Self::read`] reads.
    pub(crate) fn written(&self) -> Vec<u8> {
        let keys: Vec<&str> = self.ids().map(|id| &**id).collect();
        let named = self.issuers.iter();
        let named = named.filter_map(|(id, name)| Some((id, name.as_ref()?)));
        let info: serde_json::Map<String, Value> = named
            .map(|(id, name)| (id.to_string(), json!({"issuer_name": name})))
            .collect();
        let whole = json!({"data": {"keys": keys, "key_info": info}});
        whole.to_string().into_bytes()
    }

    /// The ids of all, in the order of the mount.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.issuers.iter().map(|(id, _)| id)
    }

    /// The id of the issuer that is called so.
    pub(crate) fn id(&self, reference: &str) -> Option<&Arc<str>> {
        self.by_reference.get(reference)
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.by_reference.contains_key(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// A CA below a root, both in PEM.
    fn pair() -> (String, String) {
        let root_key = KeyPair::generate().expect("a key");
        let root = params("root").self_signed(&root_key).expect("signed");
        let issuer = Issuer::new(params("root"), &root_key);
        let key = KeyPair::generate().expect("a key");
        let below = params("below").signed_by(&key, &issuer).expect("signed");
        (below.pem(), root.pem())
    }

    fn answer(id: &str, own: &str, chain: &[&str]) -> Vec<u8> {
        json!({"data": {"issuer_id": id, "certificate": own, "ca_chain": chain}})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn every_form_has_the_certificates_and_dates_move_when_they_change() {
        let (own, root) = pair();
        let now = 1_900_000_000;
        let first = Authority::read(&answer("a", &own, &[&own, &root]), None, now).expect("read");
        assert_eq!(
            (&*first.id, first.since, first.certificates.len()),
            ("a", 0, 2)
        );
        assert_eq!(**first.ca.body(), *first.certificate().der());
        assert_eq!(
            first.chain_pem.body().len(),
            first
                .certificates
                .iter()
                .map(|one| one.pem().len())
                .sum::<usize>()
        );
        let anchor = first.anchor.as_ref().expect("the root is there");
        assert_eq!(**anchor[0].body(), *first.certificates[1].der());
        let same = Authority::read(&answer("a", &own, &[&own, &root]), Some(&first), now + 9)
            .expect("read");
        assert_eq!((same.since, same.chain_pem.modified()), (0, now));
        let again = Authority::read(&first.written(), None, now).expect("read");
        assert_eq!(
            (&again.id, &again.certificates),
            (&first.id, &first.certificates)
        );
        let shorter =
            Authority::read(&answer("a", &own, &[&own]), Some(&same), now + 9).expect("read");
        assert_eq!(shorter.chain_pem.modified(), now + 9);
        assert_eq!(shorter.ca.modified(), first.ca.modified());
        assert!(shorter.anchor.is_none());
        let other =
            Authority::read(&answer("b", &root, &[&root]), Some(&same), now + 9).expect("read");
        assert_eq!((other.since, other.ca.modified()), (now + 9, now + 9));
    }

    #[test]
    fn what_is_no_issuer_is_refused() {
        let (own, _) = pair();
        for body in [
            b"<html>".to_vec(),
            b"{}".to_vec(),
            answer("a", "no PEM", &[]),
            answer("a", &own, &["no PEM"]),
            json!({"data": {"certificate": own}})
                .to_string()
                .into_bytes(),
        ] {
            Authority::read(&body, None, 0).expect_err("no issuer");
        }
    }

    #[test]
    fn issuers_are_found_by_id_and_by_name() {
        let body = json!({"data": {"keys": ["1", "2"], "key_info": {"1": {"issuer_name": "old"}, "2": {"issuer_name": ""}}}});
        let index = Index::read(body.to_string().as_bytes()).expect("a list");
        let id = |reference| index.id(reference).map(|id| &**id);
        assert_eq!(
            [id("1"), id("old"), id("2"), id(""), id("3")],
            [Some("1"), Some("1"), Some("2"), None, None]
        );
        let again = Index::read(&index.written()).expect("a list");
        assert_eq!(
            (again.issuers, again.by_reference),
            (index.issuers, index.by_reference)
        );
    }
}
