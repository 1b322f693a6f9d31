//! Whether certificates are revoked, by the list of revocations instead of one question each.

use std::sync::Arc;

use landfast_sdk::logical::Error;

use crate::entry::revoked::PREFIX;
use crate::entry::tidy::TidyRun;
use crate::mount::Shared;

/// The part of the list that was asked for last. Whoever asks in the order of names has each part read once.
pub(super) struct Revoked {
    mount: Shared,
    limit: Option<usize>,
    part: Option<Part>,
}

/// All names after one, up to the last of the list or to its end.
struct Part {
    after: String,
    names: Vec<String>,
    is_last: bool,
}

impl Revoked {
    /// The revocations of `mount`, read in pages as `run` has them.
    pub(super) fn on(mount: &Shared, run: &TidyRun) -> Self {
        Self {
            mount: Arc::clone(mount),
            limit: page_size(mount, run),
            part: None,
        }
    }

    /// Whether there is a revocation of this name. What is revoked after its part was read is not seen; such a revocation stays when its
    /// certificate goes, and has a copy of it.
    ///
    /// # Errors
    /// When storage fails.
    pub(super) async fn has(&mut self, name: &str) -> Result<bool, Error> {
        loop {
            let after = match &self.part {
                Some(part) if part.covers(name) => {
                    return Ok(part
                        .names
                        .binary_search_by(|one| one.as_str().cmp(name))
                        .is_ok());
                }
                // Many names may lie between.
                Some(part) if part.ends_at() >= in_front_of(name) && part.ends_at() < name => {
                    part.ends_at()
                }
                _ => in_front_of(name),
            };
            self.part = Some(self.read(after).await?);
        }
    }

    async fn read(&self, after: &str) -> Result<Part, Error> {
        // The whole list, where there are no pages.
        let after = if self.limit.is_some() { after } else { "" };
        let storage = self.mount.storage();
        let mut names = storage.list_page(PREFIX, after, self.limit).await?;
        names.sort_unstable();
        Ok(Part {
            after: after.to_owned(),
            is_last: self.limit.is_none_or(|limit| names.len() < limit),
            names,
        })
    }
}

impl Part {
    fn covers(&self, name: &str) -> bool {
        self.after.as_str() < name && (self.is_last || name <= self.ends_at())
    }

    fn ends_at(&self) -> &str {
        self.names.last().map_or(&self.after, String::as_str)
    }
}

/// Names in an answer to a listing; `None` for all at once, as a host that has no pages lists everything each time it is asked.
pub(super) fn page_size(mount: &Shared, run: &TidyRun) -> Option<usize> {
    let limit = usize::try_from(run.plan.page_size).unwrap_or(0);
    (limit > 0 && !mount.is_on_vault()).then_some(limit)
}

/// A name before `name` with little between them.
fn in_front_of(name: &str) -> &str {
    let mut characters = name.chars();
    characters.next_back();
    characters.as_str()
}
