//! What is kept of a mount, in files: written while it is good, and read after a restart as an answer of the mount is.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Bytes;
use landfast_base::sha256;
use landfast_pki::Certificate;
use serde::{Deserialize, Serialize};

use super::answers::{self, Kept};
use super::authority::{Authority, Index};
use super::list::List;
use super::wanted::is_reference;
use super::{Issuer, Site};
use crate::ocsp::Question;
use crate::slot::{Dated as _, Slot};
use crate::store::{Entry, Store};
use crate::upstream;

/// Answers of OCSP that are written, those that were used last.
const ANSWERS: usize = 4096;

/// What is what. The three of one issuer have its id behind them.
const INDEX: &str = "index";
const DEFAULT: &str = "default";
const OCSP: &str = "ocsp";
const ISSUER: &str = "issuer-";
const COMPLETE: &str = "crl-";
const DELTA: &str = "delta-";

/// An answer of OCSP, with the question in DER; both in base64.
#[derive(Serialize, Deserialize)]
struct Pair {
    question: String,
    answer: String,
}

impl Site {
    /// Writes what is valid at `now`, and takes away what is not kept any more.
    pub(crate) fn save(&self, store: &Store, now: i64) {
        let mut entries = Vec::new();
        let mut authority = |what: String, slot: &Slot<Authority>| {
            // The server may have one that is over, and then it is the server's to say so.
            let held = slot.held(now);
            let held = held.filter(|held| now < held.certificate().not_after().as_second());
            if let Some(held) = held {
                entries.push(entry(what, held.written()));
            }
        };
        authority(DEFAULT.to_owned(), &self.default);
        let issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut issuers: Vec<_> = issuers
            .iter()
            .map(|(id, issuer)| (id.clone(), issuer.clone()))
            .collect();
        // It becomes a part of the name of a file.
        issuers.retain(|(id, _)| is_reference(id));
        issuers.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (id, issuer) in &issuers {
            authority(format!("{ISSUER}{id}"), &issuer.authority);
        }
        for (id, issuer) in &issuers {
            for (kind, slot) in [(COMPLETE, &issuer.complete), (DELTA, &issuer.delta)] {
                if let Some(list) = slot.held(now) {
                    entries.push(Entry {
                        what: format!("{kind}{id}"),
                        mark: list.der().mark().to_vec(),
                        content: list.der().body().clone(),
                    });
                }
            }
        }
        if let Some(index) = self.index.held(now) {
            entries.push(entry(INDEX.to_owned(), index.written()));
        }
        let answers = self.answers.held(ANSWERS, now).into_iter();
        let pairs: Vec<Pair> = answers
            .map(|(question, answer)| Pair {
                question: STANDARD.encode(question),
                answer: STANDARD.encode(answer),
            })
            .collect();
        if !pairs.is_empty()
            && let Ok(pairs) = serde_json::to_vec(&pairs)
        {
            entries.push(entry(OCSP.to_owned(), pairs));
        }
        store.save(self.mount(), entries);
    }

    /// Takes up what was written before and is valid at `now`. The server is asked first all the same.
    pub(crate) fn load(&self, store: &Store, now: i64) {
        let mut files = Files {
            site: self,
            store,
            all: store.load(self.mount()),
            now,
        };
        files.take(INDEX, Index::read, &self.index);
        let read = |content: &[u8]| valid_authority(content, now);
        let default = files.take(DEFAULT, read, &self.default);
        let mut ids: Vec<Arc<str>> = files
            .all
            .keys()
            .filter_map(|what| what.strip_prefix(ISSUER).map(Arc::from))
            .collect();
        ids.extend(default.iter().map(|default| default.id.clone()));
        ids.sort();
        ids.dedup();
        let mut known: Vec<Certificate> = default
            .iter()
            .flat_map(|default| default.certificates.clone())
            .collect();
        for id in &ids {
            let issuer = Issuer::default();
            let own = files.take(&format!("{ISSUER}{id}"), read, &issuer.authority);
            known.extend(own.iter().flat_map(|own| own.certificates.clone()));
            let named = |one: &&Arc<Authority>| one.id == *id;
            let Some(authority) = own.iter().chain(&default).find(named) else {
                continue;
            };
            for (kind, slot) in [(COMPLETE, &issuer.complete), (DELTA, &issuer.delta)] {
                files.list(&format!("{kind}{id}"), authority, kind == DELTA, slot);
            }
            let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
            issuers.insert(id.clone(), Arc::new(issuer));
        }
        files.answers(&known);
    }
}

fn entry(what: String, content: Vec<u8>) -> Entry {
    Entry {
        what,
        mark: sha256(&content).to_vec(),
        content: Bytes::from(content),
    }
}

/// An issuer that is none beyond the end of its certificate, unlike one that the server has now.
fn valid_authority(content: &[u8], now: i64) -> Result<Authority, String> {
    let read = Authority::read(content, None, now)?;
    if now < read.certificate().not_after().as_second() {
        Ok(read)
    } else {
        Err("the certificate is over".to_owned())
    }
}

/// The files of a mount, while they are read.
struct Files<'a> {
    site: &'a Site,
    store: &'a Store,
    all: HashMap<String, Bytes>,
    now: i64,
}

impl Files<'_> {
    fn take<T: crate::slot::Dated + Send + Sync + 'static>(
        &mut self,
        what: &str,
        read: impl Fn(&[u8]) -> Result<T, String>,
        slot: &Slot<T>,
    ) -> Option<Arc<T>> {
        let content = self.all.remove(what)?;
        match read(&content) {
            Ok(read) => {
                let read = Arc::new(read);
                slot.restore(read.clone());
                self.store.has(self.site.mount(), what, &sha256(&content));
                Some(read)
            }
            Err(why) => {
                self.store.ignored(self.site.mount(), what, &why);
                None
            }
        }
    }

    fn list(&mut self, what: &str, authority: &Authority, delta: bool, slot: &Slot<List>) {
        let Some(content) = self.all.remove(what) else {
            return;
        };
        let read = List::read(content, authority.certificate(), delta).and_then(|list| {
            if self.now < list.valid_until() {
                Ok(list)
            } else {
                Err("the list is over".to_owned())
            }
        });
        match read {
            Ok(list) => {
                self.store.has(self.site.mount(), what, list.der().mark());
                slot.restore(Arc::new(list));
            }
            Err(why) => self.store.ignored(self.site.mount(), what, &why),
        }
    }

    fn answers(&mut self, known: &[Certificate]) {
        let Some(content) = self.all.remove(OCSP) else {
            return;
        };
        let mount = self.site.mount();
        let pairs: Vec<Pair> = match serde_json::from_slice(&content) {
            Ok(pairs) => pairs,
            Err(_) => return self.store.ignored(mount, OCSP, "it is no list of answers"),
        };
        let mut bad = None;
        // The last used one comes last, and so is the last to go.
        for pair in pairs.iter().take(ANSWERS).rev() {
            match self.answer(pair, known) {
                Ok(Some((question, kept))) => {
                    self.site.answers.slot(question.der()).restore(kept);
                }
                Ok(None) => {}
                Err(why) => bad = Some(why),
            }
        }
        if let Some(why) = bad {
            let why = format!("in part: {why}");
            self.store.ignored(mount, OCSP, &why);
        }
    }

    /// None of an answer that is over.
    fn answer(
        &self,
        pair: &Pair,
        known: &[Certificate],
    ) -> Result<Option<(Question, Arc<Kept>)>, String> {
        let octets = |text: &str| STANDARD.decode(text).map_err(|_| "no base64".to_owned());
        let question = Question::from_der(&octets(&pair.question)?);
        let question = question.map_err(|error| format!("a question: {error}"))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(answers::KIND));
        let answer = upstream::Answer {
            status: StatusCode::OK,
            headers,
            body: Bytes::from(octets(&pair.answer)?),
        };
        let kept = Kept::new(&question, answer, known, self.now)?;
        let good = matches!(kept, Kept::Signed(_)) && question.is_plain();
        Ok(good.then(|| (question, Arc::new(kept))))
    }
}

#[cfg(test)]
mod tests;
