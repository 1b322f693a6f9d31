//! What everybody may have of one mount, as it is kept here.

mod answers;
mod authority;
mod list;
mod remote;
mod saved;
mod wanted;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use hyper::body::Bytes;
use jiff::Timestamp;

use self::answers::Answers;
pub(crate) use self::authority::Authority;
use self::authority::Index;
pub(crate) use self::list::List;
use self::remote::Remote;
pub(crate) use self::wanted::Wanted;
use self::wanted::What;
use crate::config::LimitsFile;
use crate::mounts::Mount;
use crate::ocsp::Question;
use crate::request::{PAUSE, Reply, Request};
use crate::sheet::Sheet;
use crate::slot::{Dated as _, Found, Missing, Slot};

/// A mount, and what is kept of it.
#[derive(Clone)]
pub(crate) struct Site {
    at: Arc<Remote>,
    default: Arc<Slot<Authority>>,
    index: Arc<Slot<Index>>,
    /// Of those in the index only, so that no stranger makes it grow.
    issuers: Arc<Mutex<HashMap<Arc<str>, Arc<Issuer>>>>,
    answers: Arc<Answers>,
    keep: Keep,
}

/// How a mount is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) mount: Arc<str>,
    /// Why the last call was not answered, if it was not.
    pub(crate) trouble: Option<Arc<Missing>>,
    /// End of the default issuer's complete list that is held, in seconds since 1970.
    pub(crate) crl_until: Option<i64>,
}

/// For how long things are kept.
#[derive(Debug, Clone, Copy)]
struct Keep {
    /// Here, until the server is asked again.
    fresh: Duration,
    /// By clients and caches on the way, in seconds.
    outside: i64,
}

#[derive(Default)]
struct Issuer {
    authority: Arc<Slot<Authority>>,
    complete: Arc<Slot<List>>,
    delta: Arc<Slot<List>>,
}

impl Site {
    /// A mount of a configuration; `before` is the same mount in one before, and what it keeps stays.
    pub(crate) fn new(mount: Arc<Mount>, limits: &LimitsFile, before: Option<&Self>) -> Self {
        let before = before.cloned();
        let answers = before.as_ref().map(|before| before.answers.clone());
        let answers = answers.filter(|answers| answers.most() == limits.ocsp_answers);
        let (default, index, issuers) = match before {
            Some(before) => (before.default, before.index, before.issuers),
            None => Default::default(),
        };
        Self {
            at: Arc::new(Remote::new(mount, limits.crl_bytes)),
            default,
            index,
            issuers,
            answers: answers.unwrap_or_else(|| Arc::new(Answers::new(limits.ocsp_answers))),
            keep: Keep {
                fresh: Duration::from_secs(limits.refresh_seconds),
                outside: i64::from(limits.client_seconds),
            },
        }
    }

    pub(crate) fn status(&self, now: i64) -> Status {
        let id = self.default.held(now).map(|default| default.id.clone());
        let issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        let list = id.and_then(|id| issuers.get(&id)?.complete.held(now));
        Status {
            mount: self.at.mount().prefix.clone(),
            trouble: self.at.trouble(),
            crl_until: list.map(|list| list.valid_until()),
        }
    }

    pub(crate) fn mount(&self) -> &Arc<Mount> {
        self.at.mount()
    }

    /// Gives out a list or certificates.
    pub(crate) async fn give(&self, wanted: &Wanted<'_>, request: &Request) -> Reply {
        let operation = wanted.what.name();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Reply::method_not_allowed(operation, "GET, HEAD");
        }
        let now = Timestamp::now().as_second();
        let found = match wanted.issuer {
            None => self.of_default(wanted, now).await,
            Some(reference) => self.of_issuer(reference, wanted, now).await,
        };
        match found {
            Ok(given) => {
                let outside = self.keep.outside;
                let sheet = &given.sheet;
                let mut reply =
                    sheet.reply(operation, request.headers(), now, given.since, outside);
                reply.note.source = Some(given.source);
                reply
            }
            Err(missing) => missing.reply(operation),
        }
    }

    async fn of_default(&self, wanted: &Wanted<'_>, now: i64) -> Result<Given, Missing> {
        let default = self.authority(&self.default, "default", now).await?;
        let given = if let What::Complete | What::Delta = wanted.what {
            let issuer = self.issuer(&default.value.id);
            let list = self.list(&issuer, &default.value, wanted.what, now).await?;
            Given::list(wanted, &list)
        } else {
            Given::certificates(wanted, &default)?
        };
        Ok(Given {
            since: default.value.since,
            ..given
        })
    }

    async fn of_issuer(
        &self,
        reference: &str,
        wanted: &Wanted<'_>,
        now: i64,
    ) -> Result<Given, Missing> {
        let (issuer, authority) = self.named(reference, now).await?;
        if let What::Complete | What::Delta = wanted.what {
            let list = self
                .list(&issuer, &authority.value, wanted.what, now)
                .await?;
            return Ok(Given::list(wanted, &list));
        }
        Given::certificates(wanted, &authority)
    }

    /// An issuer by its name or id.
    async fn named(
        &self,
        reference: &str,
        now: i64,
    ) -> Result<(Arc<Issuer>, Found<Authority>), Missing> {
        let index = self.index(now).await?;
        let id = index.id(reference).ok_or(Missing::Absent)?;
        let issuer = self.issuer(id);
        let authority = self.authority(&issuer.authority, id, now).await?;
        Ok((issuer, authority))
    }

    async fn index(&self, now: i64) -> Result<Arc<Index>, Missing> {
        let load = |_| {
            let at = self.at.clone();
            async move { at.index().await }
        };
        let index = self.index.get(self.keep.fresh, now, load).await?;
        if index.source == "server" {
            let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
            issuers.retain(|id, _| index.value.has(id));
        }
        Ok(index.value)
    }

    /// The ids of the mount's issuers.
    ///
    /// # Errors
    /// They cannot be had.
    pub(crate) async fn ids(&self) -> Result<Vec<Arc<str>>, Missing> {
        let index = self.index(Timestamp::now().as_second()).await?;
        Ok(index.ids().cloned().collect())
    }

    /// The certificates of an issuer by its name or id; of the default one without.
    ///
    /// # Errors
    /// They cannot be had.
    pub(crate) async fn certificates(
        &self,
        reference: Option<&str>,
    ) -> Result<Found<Authority>, Missing> {
        let now = Timestamp::now().as_second();
        match reference {
            None => self.authority(&self.default, "default", now).await,
            Some(reference) => Ok(self.named(reference, now).await?.1),
        }
    }

    /// A list of an issuer as the mount has it at this moment, however young the kept one is.
    ///
    /// # Errors
    /// It cannot be had now: one that is kept is of no use to whoever asks this.
    pub(crate) async fn newest_list(
        &self,
        authority: &Arc<Authority>,
        delta: bool,
    ) -> Result<Arc<List>, Missing> {
        let now = Timestamp::now().as_second();
        let issuer = self.issuer(&authority.id);
        let what = if delta { What::Delta } else { What::Complete };
        let found = self
            .list_since(&issuer, authority, what, now, Duration::ZERO)
            .await?;
        if found.source == "stale" {
            return Err(Missing::away("the newest list cannot be had now"));
        }
        Ok(found.value)
    }

    fn issuer(&self, id: &Arc<str>) -> Arc<Issuer> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        issuers.entry(id.clone()).or_default().clone()
    }

    async fn authority(
        &self,
        slot: &Arc<Slot<Authority>>,
        reference: &str,
        now: i64,
    ) -> Result<Found<Authority>, Missing> {
        let load = |before: Option<Arc<Authority>>| {
            let (at, reference) = (self.at.clone(), reference.to_owned());
            async move { at.authority(&reference, before.as_deref(), now).await }
        };
        slot.get(self.keep.fresh, now, load).await
    }

    async fn list(
        &self,
        issuer: &Issuer,
        authority: &Arc<Authority>,
        what: What,
        now: i64,
    ) -> Result<Found<List>, Missing> {
        self.list_since(issuer, authority, what, now, self.keep.fresh)
            .await
    }

    /// A list that the mount gave within `fresh`.
    async fn list_since(
        &self,
        issuer: &Issuer,
        authority: &Arc<Authority>,
        what: What,
        now: i64,
        fresh: Duration,
    ) -> Result<Found<List>, Missing> {
        let delta = what == What::Delta;
        let slot = if delta {
            &issuer.delta
        } else {
            &issuer.complete
        };
        let load = |before| {
            let (at, authority) = (self.at.clone(), authority.clone());
            async move { at.list(&authority, delta, before, now).await }
        };
        slot.get(fresh, now, load).await
    }

    /// The answer to a question that came in these octets before, where one is kept that is fresh.
    pub(crate) fn kept(&self, octets: &[u8], request: &Request) -> Option<Reply> {
        let now = Timestamp::now().as_second();
        let slot = self.answers.as_sent(octets)?;
        let kept = slot.fresh(self.keep.fresh, now)?;
        let mut reply = kept.reply(request.headers(), now, self.keep.outside);
        reply.note.source = Some("cache");
        Some(reply)
    }

    /// Answers a question of OCSP. What is no question gets the answer for that (RFC 6960 section 2.3).
    /// `octets` are what the client sent: the body, or what follows in the path.
    pub(crate) async fn ocsp(
        &self,
        octets: &[u8],
        question: Option<Question>,
        request: &Request,
    ) -> Reply {
        let Some(question) = question else {
            return failure(
                StatusCode::BAD_REQUEST,
                landfast_pki::OcspFailure::MalformedRequest,
            );
        };
        let now = Timestamp::now().as_second();
        if !question.is_plain() {
            return self.pass_on(&question).await;
        }
        // The CA that has to have signed the answer; without it nothing can be checked, and nothing stops.
        let known = self.authority(&self.default, "default", now).await.ok();
        let slot = self.answers.slot(question.der());
        self.answers.note(octets, &slot);
        let load = |_| {
            let (at, question) = (self.at.clone(), question.clone());
            let known = known.map(|known| known.value.certificates.clone());
            async move { at.ocsp(&question, &known.unwrap_or_default(), now).await }
        };
        match slot.get(self.keep.fresh, now, load).await {
            Ok(found) => {
                let mut reply = found.value.reply(request.headers(), now, self.keep.outside);
                reply.note.source = Some(found.source);
                reply
            }
            Err(missing) => later(&missing),
        }
    }

    /// A question that only the mount can judge: its answer is for this client alone.
    async fn pass_on(&self, question: &Question) -> Reply {
        match self.at.ask(question).await {
            Ok(answer) => {
                let mut reply = answers::relayed(answer);
                reply.note.source = Some("server");
                reply
            }
            Err(missing) => later(&missing),
        }
    }
}

/// What is found at a path.
struct Given {
    sheet: Arc<Sheet>,
    /// Since when it stands there, in seconds since 1970; 0 if nothing else was seen there.
    since: i64,
    source: &'static str,
}

impl Given {
    fn list(wanted: &Wanted<'_>, list: &Found<List>) -> Self {
        Self {
            sheet: wanted.list(&list.value).clone(),
            since: 0,
            source: list.source,
        }
    }

    fn certificates(wanted: &Wanted<'_>, authority: &Found<Authority>) -> Result<Self, Missing> {
        let sheet = wanted.certificates(&authority.value);
        Ok(Self {
            sheet: sheet.ok_or(Missing::Absent)?.clone(),
            since: 0,
            source: authority.source,
        })
    }
}

/// An answer that says why there is none.
fn failure(status: StatusCode, failure: landfast_pki::OcspFailure) -> Reply {
    let body = Bytes::copy_from_slice(&failure.der());
    let mut reply = Reply::new(status, "ocsp", answers::KIND, body);
    reply.note.error = Some(format!("{failure:?}"));
    reply.with(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store"),
    )
}

/// The mount cannot be asked now.
fn later(missing: &Missing) -> Reply {
    let mut reply = failure(
        StatusCode::SERVICE_UNAVAILABLE,
        landfast_pki::OcspFailure::TryLater,
    );
    if let Missing::Away(cause) = missing {
        reply.note.error = Some(cause.to_string());
    }
    reply.with(http::header::RETRY_AFTER, PAUSE.into())
}

impl Missing {
    fn reply(&self, operation: &'static str) -> Reply {
        match self {
            Self::Absent => {
                let mut reply = Reply::not_found();
                reply.note.operation = operation;
                reply
            }
            Self::Away(cause) => Reply::unavailable(operation, PAUSE, cause),
        }
    }
}
