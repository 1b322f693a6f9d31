//! Nonces against replay (RFC 8555 section 6.5): each is taken once, within an hour, in fixed memory.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use landfast_base::{NoRandomness, Secret, equal, hmac_sha256, random};

use crate::{Kind, Problem, text};

/// How long a nonce is taken, in seconds. Clients wait for DNS between two requests.
pub const LIFETIME: u64 = 3600;

/// How many nonces are remembered. Whoever asks for this many within the lifetime outdates the oldest.
const WINDOW: u64 = 1 << 20;

/// Nonces of one process.
///
/// A nonce is a counter, the second in which it was issued, and a tag by a key that only this process has. So nothing is stored of a
/// nonce but one bit, whether it was taken, in a ring of 128 KiB: strangers who fetch nonces cost no memory and outdate nobody else's
/// but by a million of them.
///
/// Behind several nodes each takes its own; a client that gets [`Kind::BadNonce`] tries again with the nonce of that answer.
pub struct Nonces {
    key: Secret<[u8; 32]>,
    ring: Mutex<Ring>,
}

struct Ring {
    /// The counter of the next nonce.
    next: u64,
    /// One bit a counter, by its remainder: whether its nonce was taken.
    taken: Box<[u64]>,
}

impl Nonces {
    /// A new key, and no nonce.
    ///
    /// # Errors
    /// The random generator failed.
    pub fn new() -> Result<Self, NoRandomness> {
        Ok(Self {
            key: Secret::new(random()?),
            ring: Mutex::new(Ring {
                next: 0,
                taken: vec![0; WINDOW as usize / 64].into_boxed_slice(),
            }),
        })
    }

    /// A nonce in base64url.
    pub fn issue(&self, now: Timestamp) -> String {
        let counter = {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            let counter = ring.next;
            ring.next += 1;
            ring.clear(counter);
            counter
        };
        let mut nonce = [0; LENGTH];
        nonce[..8].copy_from_slice(&counter.to_be_bytes());
        nonce[8..STATED].copy_from_slice(&seconds(now).to_be_bytes());
        let tag = self.tag(&nonce[..STATED]);
        nonce[STATED..].copy_from_slice(&tag);
        text::encode(nonce)
    }

    /// Takes a nonce, if it is one of ours, not taken yet and not too old.
    ///
    /// # Errors
    /// [`Kind::BadNonce`].
    pub fn redeem(&self, nonce: &str, now: Timestamp) -> Result<(), Problem> {
        if self.take(nonce, now).is_some() {
            return Ok(());
        }
        Err(Problem::new(
            Kind::BadNonce,
            "invalid or reused nonce: try again with the nonce of this answer",
        ))
    }

    fn take(&self, nonce: &str, now: Timestamp) -> Option<()> {
        if nonce.len() != TEXT_LENGTH {
            return None;
        }
        let octets: [u8; LENGTH] = text::decode(nonce)?.try_into().ok()?;
        let (stated, tag) = octets.split_at(STATED);
        if !equal(&self.tag(stated), tag) {
            return None;
        }
        let (counter, issued) = stated.split_at(8);
        let counter = u64::from_be_bytes(counter.try_into().ok()?);
        let issued = u64::from_be_bytes(issued.try_into().ok()?);
        // A clock that was set back makes nobody's nonce old.
        if seconds(now).saturating_sub(issued) > LIFETIME {
            return None;
        }
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.take(counter).then_some(())
    }

    fn tag(&self, stated: &[u8]) -> [u8; TAG] {
        let whole = hmac_sha256(self.key.expose(), stated);
        std::array::from_fn(|at| whole[at])
    }
}

impl Ring {
    fn clear(&mut self, counter: u64) {
        let (word, bit) = place(counter);
        self.taken[word] &= !bit;
    }

    /// Whether the counter is within the window and was not taken before.
    fn take(&mut self, counter: u64) -> bool {
        let (word, bit) = place(counter);
        let known = counter < self.next && self.next - counter <= WINDOW;
        let free = known && self.taken[word] & bit == 0;
        if free {
            self.taken[word] |= bit;
        }
        free
    }
}

/// The word of the ring and the bit in it.
fn place(counter: u64) -> (usize, u64) {
    let at = counter % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.as_second()).unwrap_or_default()
}

/// Octets of the tag.
const TAG: usize = 16;
/// Octets of counter and second.
const STATED: usize = 16;
const LENGTH: usize = STATED + TAG;
/// Characters of base64url for them.
const TEXT_LENGTH: usize = (LENGTH * 8).div_ceil(6);

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_nonce_is_taken_once() {
        let nonces = Nonces::new().unwrap();
        let (one, other) = (nonces.issue(now()), nonces.issue(now()));
        assert_ne!(one, other);
        assert_eq!(nonces.redeem(&one, now()), Ok(()));
        assert_eq!(nonces.redeem(&other, now()), Ok(()));
        let again = nonces.redeem(&one, now()).unwrap_err();
        assert_eq!(again.kind, Kind::BadNonce);
        // RFC 8555 section 6.5.1: characters of base64url only.
        assert!(
            one.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
    }

    #[test]
    fn what_was_not_issued_here_is_not_taken() {
        let nonces = Nonces::new().unwrap();
        let good = nonces.issue(now());
        let elsewhere = Nonces::new().unwrap().issue(now());
        let mut octets = text::decode(&good).unwrap();
        // The next counter, which is not issued yet, and each bit of the tag.
        octets[7] ^= 1;
        let mut bad = vec![
            elsewhere,
            String::new(),
            "A".repeat(TEXT_LENGTH),
            "é".repeat(20),
            text::encode(&octets),
        ];
        octets[7] ^= 1;
        for at in STATED..LENGTH {
            octets[at] ^= 0x80;
            bad.push(text::encode(&octets));
            octets[at] ^= 0x80;
        }
        for nonce in bad {
            assert!(nonces.redeem(&nonce, now()).is_err(), "{nonce}");
        }
        assert_eq!(nonces.redeem(&good, now()), Ok(()));
    }

    #[test]
    fn a_nonce_gets_too_old() {
        let nonces = Nonces::new().unwrap();
        let (one, other) = (nonces.issue(now()), nonces.issue(now()));
        assert!(nonces.redeem(&one, now() + 1.hour()).is_ok());
        assert!(
            nonces
                .redeem(&other, now() + 1.hour() + 1.second())
                .is_err()
        );
        let later = nonces.issue(now());
        assert!(
            nonces.redeem(&later, now() - 1.hour()).is_ok(),
            "the clock was set back"
        );
    }

    #[test]
    fn a_million_nonces_outdate_the_first_and_no_other() {
        let nonces = Nonces::new().unwrap();
        let (first, second) = (nonces.issue(now()), nonces.issue(now()));
        {
            let mut ring = nonces.ring.lock().unwrap();
            for _ in 2..=WINDOW {
                let counter = ring.next;
                ring.next += 1;
                ring.clear(counter);
            }
        }
        assert!(nonces.redeem(&first, now()).is_err());
        assert!(nonces.redeem(&second, now()).is_ok());
        // The place of the first in the ring is that of the newest.
        let newest = nonces.issue(now());
        assert!(nonces.redeem(&newest, now()).is_ok());
        assert!(nonces.redeem(&second, now()).is_err());
    }

    #[test]
    fn of_many_who_bring_the_same_nonce_one_gets_through() {
        let nonces = Nonces::new().unwrap();
        let nonce = nonces.issue(now());
        let taken = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| nonces.redeem(&nonce, now()).is_ok()))
                .collect();
            tries
                .into_iter()
                .map(|one| one.join().unwrap())
                .filter(|ok| *ok)
                .count()
        });
        assert_eq!(taken, 1);
    }
}
