//! A mount on its server: what is asked of it, and what is made of its answers.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::StatusCode;
use hyper::body::Bytes;

use super::answers;
use super::authority::{Authority, Index};
use super::list::List;
use crate::mounts::Mount;
use crate::ocsp::Question;
use crate::slot::{Dated as _, Missing};
use crate::upstream::{Answer, Call};

/// Octets of a list of issuers, and of an issuer with its chain.
const MOST: usize = 8 * 1024 * 1024;

/// A mount on its server.
pub(super) struct Remote {
    mount: Arc<Mount>,
    most: usize,
    /// Why the last call was not answered.
    trouble: ArcSwapOption<Missing>,
}

impl Remote {
    /// Lists of more than `most` octets are not taken.
    pub(super) fn new(mount: Arc<Mount>, most: usize) -> Self {
        Self {
            mount,
            most,
            trouble: ArcSwapOption::empty(),
        }
    }

    pub(super) fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// Why the last call was not answered, if it was not.
    pub(super) fn trouble(&self) -> Option<Arc<Missing>> {
        self.trouble.load_full()
    }

    pub(super) async fn get(&self, path: &str, most: usize) -> Result<Answer, Missing> {
        let path = format!("{}/{path}", self.mount.path);
        self.call(Call {
            most,
            ..Call::get(&path)
        })
        .await
    }

    async fn call(&self, call: Call<'_>) -> Result<Answer, Missing> {
        let call = Call {
            namespace: self.mount.namespace.as_deref(),
            ..call
        };
        let outcome = self.mount.upstream.call(call).await.map_err(Missing::away);
        match &outcome {
            Ok(_) if self.trouble.load().is_none() => {}
            Ok(_) => {
                self.trouble.store(None);
                tracing::info!(mount = %self.mount.prefix, "the server answers again");
            }
            Err(missing) => {
                if self.trouble.swap(Some(Arc::new(missing.clone()))).is_none() {
                    tracing::warn!(mount = %self.mount.prefix, "{missing}; what is kept and valid is given out");
                }
            }
        }
        outcome
    }

    pub(super) async fn index(&self) -> Result<Arc<Index>, Missing> {
        let answer = self.get("issuers?list=true", MOST).await?;
        match answer.status {
            StatusCode::OK => Index::read(&answer.body)
                .map(Arc::new)
                .map_err(Missing::away),
            StatusCode::NOT_FOUND => Err(Missing::Absent),
            _ => Err(self.refused(&answer)),
        }
    }

    pub(super) async fn authority(
        &self,
        reference: &str,
        before: Option<&Authority>,
        now: i64,
    ) -> Result<Arc<Authority>, Missing> {
        let answer = self.get(&format!("issuer/{reference}/json"), MOST).await?;
        if answer.status == StatusCode::OK {
            return Authority::read(&answer.body, before, now)
                .map(Arc::new)
                .map_err(Missing::away);
        }
        let none = ["no default issuer", "unable to find PKI issuer"];
        match answer.error() {
            Some(text) if none.iter().any(|words| text.contains(words)) => Err(Missing::Absent),
            _ => Err(self.refused(&answer)),
        }
    }

    pub(super) async fn list(
        &self,
        authority: &Authority,
        delta: bool,
        before: Option<Arc<List>>,
        now: i64,
    ) -> Result<Arc<List>, Missing> {
        let kind = if delta { "crl/delta/der" } else { "crl/der" };
        let answer = self
            .get(&format!("issuer/{}/{kind}", authority.id), self.most)
            .await?;
        match answer.status {
            StatusCode::OK if !answer.body.is_empty() => {}
            StatusCode::OK | StatusCode::NO_CONTENT => return Err(Missing::Absent),
            _ => return Err(self.refused(&answer)),
        }
        // The same octets, mostly: they are held once, and their signature is known.
        if let Some(before) = &before
            && before.der().body() == &answer.body
        {
            return Ok(before.clone());
        }
        let list =
            List::read(answer.body, authority.certificate(), delta).map_err(Missing::away)?;
        Ok(match before {
            Some(before) if list.is_older_than(&before) && now < before.valid_until() => before,
            _ => Arc::new(list),
        })
    }

    pub(super) async fn ocsp(
        &self,
        question: &Question,
        known: &[landfast_pki::Certificate],
        now: i64,
    ) -> Result<Arc<answers::Kept>, Missing> {
        let answer = self.ask(question).await?;
        answers::Kept::new(question, answer, known, now)
            .map(Arc::new)
            .map_err(Missing::away)
    }

    /// What the mount answers to a question, asked in the way that the server lets through.
    pub(super) async fn ask(&self, question: &Question) -> Result<Answer, Missing> {
        let asked = async |path: &str| self.get(&format!("ocsp/{path}"), answers::MOST).await;
        let answer = asked(&question.path()).await?;
        let broken = |answer: &Answer| answer.status == StatusCode::BAD_REQUEST;
        let Some(other) = question.path_without_slashes().filter(|_| broken(&answer)) else {
            return Ok(answer);
        };
        // Vault took a slash out of it. An engine of ours reads the other alphabet, the built-in one a body.
        let answer = asked(&other).await?;
        if !broken(&answer) {
            return Ok(answer);
        }
        let body = Bytes::copy_from_slice(question.der());
        let path = format!("{}/ocsp", self.mount.path);
        self.call(Call {
            most: answers::MOST,
            kind: "application/ocsp-request",
            ..Call::post(&path, body)
        })
        .await
    }

    fn refused(&self, answer: &Answer) -> Missing {
        let text = answer.error().unwrap_or_default();
        let path = &self.mount.path;
        let advice = match answer.status.as_u16() {
            403 | 404 => ": is that path a pki mount?",
            _ => "",
        };
        Missing::away(
            format!(
                "{path}: the server answers {}{advice} {text}",
                answer.status.as_u16()
            )
            .trim_end(),
        )
    }
}
