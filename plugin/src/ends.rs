//! When stored certificates end, so that tidying need not read each of them to learn it.
//!
//! Storage is the built-in engine's, so there is a list of what is stored, `LIST certs/`, and nothing in it says when a certificate ends. The entries
//! below `landfast/ends/` say it, 24 octets a certificate. They are a help and no record: `LIST certs/` says what there is, and a certificate that no
//! entry knows is read. So nothing is lost with an entry, and a crash between any two writes is harmless:
//!
//! - A certificate is stored first, by one write as without all this, and its end noted in memory. The minute's call writes what was noted into the
//!   last entry that has room, or a full entry is written at once. What a crash takes with it is read at the next run and noted then.
//! - An entry may know certificates that are gone: they stand in no list. A serial number is given out once, so it never becomes true of another.
//! - Certificates that the built-in engine stored, while the mount was its own, or that other code stores, are read by the first run that meets them.
//! - After a run that saw the whole list, entries that know many who are gone are put together anew: the new ones are written first, and then the old
//!   ones go. Both together say the same twice.
//!
//! Only who may write stores certificates, so a standby notes none; one that becomes active reads the entries at its first run. In memory are the
//! ends that were noted since the last minute, and all of them during a run.

mod state;

use landfast_pki::{Certificate, SerialNumber};
use landfast_sdk::logical::{Error, Write};

use crate::entry::ends::{self, End, MOST, PREFIX};
use crate::mount::Mount;

pub(crate) use state::Ends;

/// Notes the end of a certificate that was stored. The certificate is good whether that succeeds or not.
pub(crate) async fn note(mount: &Mount, certificate: &Certificate) {
    // Whoever fills an entry writes it; who comes meanwhile need not wait.
    if mount.ends.note(certificate)
        && let Ok(read) = mount.ends.writing.try_lock()
        && let Err(error) = write(mount, *read).await
    {
        tracing::debug!(%error, "ends of certificates could not be written; tidying reads these certificates");
    }
}

/// Writes what was noted. To be called only where storage may be written.
///
/// # Errors
/// When storage fails; what was noted is still known then.
pub(crate) async fn flush(mount: &Mount) -> Result<(), Error> {
    let read = mount.ends.writing.lock().await;
    write(mount, *read).await
}

/// Writes what was noted, into entries with numbers beyond `read`. To be called by who has [`Ends::writing`].
async fn write(mount: &Mount, read: u32) -> Result<(), Error> {
    let mut noted = mount.ends.take();
    while !noted.is_empty() {
        let rest = noted.split_off(noted.len().min(MOST));
        if let Err(error) = append(mount, read, &noted).await {
            noted.extend(rest);
            mount.ends.give_back(noted);
            return Err(error);
        }
        noted = rest;
    }
    Ok(())
}

/// Writes ends into the last entry, if it has room and a number beyond `read`, else into another one.
async fn append(mount: &Mount, read: u32, noted: &[End]) -> Result<(), Error> {
    let last = numbers(mount).await?.last().copied();
    let last = last.unwrap_or_default().max(read);
    if last > read && noted.len() < MOST {
        let stored = mount.storage().get(&ends::key(last)).await?;
        let stored = stored.as_deref().and_then(ends::decode);
        if let Some(stored) = stored.filter(|stored| stored.len() + noted.len() <= MOST) {
            let all: Vec<_> = stored.chain(noted.iter().copied()).collect();
            return mount.put(ends::key(last), ends::encode(&all)).await;
        }
    }
    mount
        .put(ends::key(last.saturating_add(1)), ends::encode(noted))
        .await
}

/// The numbers of the entries, in their order.
async fn numbers(mount: &Mount) -> Result<Vec<u32>, Error> {
    let names = mount.storage().list(PREFIX).await?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// What a run of tidying knows: all ends that are on record when it begins.
pub(crate) struct Known {
    ends: Vec<End>,
    /// Which of them stand for certificates that are listed and stay.
    stay: Vec<bool>,
    numbers: Vec<u32>,
}

/// Reads all entries, after what was noted is written.
///
/// # Errors
/// When storage fails.
pub(crate) async fn known(mount: &Mount) -> Result<Known, Error> {
    let mut read = mount.ends.writing.lock().await;
    write(mount, *read).await?;
    let numbers = numbers(mount).await?;
    *read = numbers.last().copied().unwrap_or_default();
    drop(read);
    let mut all = Vec::new();
    for number in &numbers {
        let Some(bytes) = mount.storage().get(&ends::key(*number)).await? else {
            continue;
        };
        match ends::decode(&bytes) {
            Some(ends) => {
                // No more room than is needed: there may be millions.
                all.reserve_exact(ends.len());
                all.extend(ends);
            }
            None => tracing::warn!(
                number,
                "an entry of ends of certificates cannot be read; their certificates are"
            ),
        }
    }
    let sort = || ends::sort(&mut all);
    mount.heavy.run(sort).await;
    Ok(Known {
        stay: vec![false; all.len()],
        ends: all,
        numbers,
    })
}

impl Known {
    /// What is known of the certificate with this name in a list, and its place; `None` for one that has to be read.
    pub(crate) fn find(&self, name: &str) -> Option<(usize, End)> {
        let serial = SerialNumber::parse(name).ok()?;
        // Another name of the same number is another entry of storage.
        let at = ends::find(&self.ends, &serial).filter(|_| serial.dash() == name)?;
        Some((at, self.ends[at]))
    }

    /// Notes that the certificate at this place is still there and stays.
    pub(crate) fn stays(&mut self, at: usize) {
        self.stay[at] = true;
    }

    /// After a run that saw the `whole` list: puts entries together anew if more than an eighth of what they know is gone. Writes what the run noted.
    ///
    /// # Errors
    /// When storage fails.
    pub(crate) async fn settle(self, mount: &Mount, whole: bool) -> Result<(), Error> {
        let mut read = mount.ends.writing.lock().await;
        let staying = self.stay.iter().filter(|stays| **stays).count();
        let gone = self.ends.len() - staying;
        if whole && gone > self.ends.len() / 8 {
            let stays = self.ends.iter().zip(&self.stay);
            let stays: Vec<End> = stays
                .filter(|(_, stays)| **stays)
                .map(|(end, _)| *end)
                .collect();
            let mut last = numbers(mount).await?.last().copied().unwrap_or_default();
            for some in stays.chunks(MOST) {
                last = last.saturating_add(1);
                mount.put(ends::key(last), ends::encode(some)).await?;
            }
            let old = self
                .numbers
                .iter()
                .map(|number| Write::delete(ends::key(*number)));
            mount.save(old.collect()).await?;
        }
        // The last entry takes more again.
        *read = 0;
        write(mount, *read).await
    }
}

#[cfg(test)]
mod tests;
