//! A dry run of a seal: everything that a server would need, tried once and told in words.

use std::time::{Duration, Instant};

use crate::blob::Blob;
use crate::envelope::Envelope;
use crate::error::{Class, Error};
use crate::keys::key::KeyEncryptionKey;

/// What was tried, and how it went.
#[derive(Debug)]
pub struct Step {
    /// What was tried.
    pub name: &'static str,
    /// What came out, for the operator; an error with its class.
    pub outcome: Result<String, (Class, String)>,
    /// How long it took.
    pub took: Duration,
}

/// The result of a dry run.
#[derive(Debug, Default)]
pub struct Report {
    /// Doubts about the stanza that do not stop a server.
    pub warnings: Vec<String>,
    /// The steps in order. The run ends early only where nothing further can be tried.
    pub steps: Vec<Step>,
}

impl Report {
    /// Whether a server could unseal with this stanza, and the first reason if not. Looking up the identity and the key is not needed for that.
    pub fn verdict(&self) -> Result<(), Class> {
        let needed = self
            .steps
            .iter()
            .filter(|step| !matches!(step.name, "identity" | "look up the key"));
        needed
            .filter_map(|step| step.outcome.as_ref().err())
            .map(|(class, _)| Err(*class))
            .next()
            .unwrap_or(Ok(()))
    }

    /// Does one step, and gives what came of it.
    pub(crate) async fn run<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<T, Error>>,
        say: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let began = Instant::now();
        let outcome = work.await;
        let told = match &outcome {
            Ok(value) => Ok(say(value)),
            Err(error) => Err((error.class(), error.to_string())),
        };
        self.steps.push(Step {
            name,
            outcome: told,
            took: began.elapsed(),
        });
        outcome.ok()
    }

    /// Encrypts something and decrypts it again.
    pub(crate) async fn round_trip<K: KeyEncryptionKey>(&mut self, seal: &Envelope<K>) {
        let blob = self
            .run("encrypt", seal.encrypt(b"landfast", b""), |blob| {
                format!("by {}", blob.key_id().unwrap_or_default())
            })
            .await;
        let Some(blob) = blob else { return };
        let decrypt = async {
            let opened = seal.decrypt(&blob, b"").await?;
            if opened.expose() == b"landfast" {
                Ok(())
            } else {
                Err(Error::Authentication)
            }
        };
        self.run("decrypt", decrypt, |()| "the same came back".to_owned())
            .await;
    }
}
