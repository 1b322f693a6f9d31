//! What was read or written of ACME a moment ago.
//!
//! A client makes a handful of requests for one certificate, each of which needs its account and its order. So the bytes of these entries stay in
//! memory for a while, as storage has them: whoever reads or writes one takes part in it by a [`Turn`], and what came of it is only kept where
//! nobody else wrote the entry meanwhile. Then storage alone knows what it has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use landfast_sdk::logical::Write;

/// Storage prefix of accounts and what belongs to them.
pub(crate) const ACCOUNTS: &str = "acme/accounts/";

/// Octets that are kept, at most.
const MOST: usize = 1 << 20;

/// Octets of an entry that is kept, at most.
const LONGEST: usize = 8 << 10;

/// Entries of recent requests, by storage key.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    slots: HashMap<Box<str>, Slot>,
    octets: usize,
}

#[derive(Default)]
struct Slot {
    value: Option<Arc<[u8]>>,
    readers: u32,
    writers: u32,
    /// Whether those that take part now cannot know what storage has.
    contested: bool,
}

/// How somebody takes part in an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Reads,
    Writes,
}

/// From before storage is asked until its answer is known.
pub(crate) struct Turn<'a> {
    recent: &'a Recent,
    key: String,
    part: Part,
    found: Option<Arc<[u8]>>,
}

impl Recent {
    /// The entry at `key`, if it is kept.
    pub(crate) fn find(&self, key: &str) -> Option<Arc<[u8]>> {
        self.with(|entries| entries.slots.get(key)?.value.clone())
    }

    /// Keeps what storage has at `key` since a moment ago, and nobody else writes there.
    pub(crate) fn keep(&self, key: &str, value: &[u8]) {
        self.reading(key).end(&value.into());
    }

    /// To be held while the entry at `key` is read from storage.
    pub(crate) fn reading(&self, key: &str) -> Turn<'_> {
        self.begin(key, Part::Reads)
    }

    /// To be held while the entry at `key` is written, or deleted.
    fn writing(&self, key: &str) -> Turn<'_> {
        self.begin(key, Part::Writes)
    }

    /// To be held while these writes are carried out. What they write of accounts, and what belongs to them, is kept.
    pub(crate) fn saving(&self, writes: &[Write]) -> Saving<'_> {
        let turn = |write: &Write| {
            let (key, value) = match write {
                Write::Put { key, value } => (key, Some(value)),
                Write::Delete { key } => (key, None),
            };
            if key.starts_with(ACCOUNTS) {
                return Some((self.writing(key), value.map(|value| value.as_ref().into())));
            }
            self.forget(key);
            None
        };
        Saving(writes.iter().filter_map(turn).collect())
    }

    /// Forgets the entry at `key`, which somebody else wrote.
    pub(crate) fn forget(&self, key: &str) {
        self.with(|entries| {
            if let Some(slot) = entries.slots.get_mut(key) {
                slot.contested = true;
                entries.octets -= slot.value.take().map_or(0, |value| value.len());
                entries.remove_if_idle(key);
            }
        });
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.with(Entries::clear);
    }

    fn begin(&self, key: &str, part: Part) -> Turn<'_> {
        self.with(|entries| {
            let slot = entries.slots.entry(key.into()).or_default();
            match part {
                Part::Reads => {
                    slot.contested |= slot.writers > 0;
                    slot.readers += 1;
                }
                Part::Writes => {
                    slot.contested |= slot.writers > 0 || slot.readers > 0;
                    slot.writers += 1;
                    entries.octets -= slot.value.take().map_or(0, |value| value.len());
                }
            }
        });
        Turn {
            recent: self,
            key: key.to_owned(),
            part,
            found: None,
        }
    }

    fn with<T>(&self, what: impl FnOnce(&mut Entries) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Entries {
    fn remove_if_idle(&mut self, key: &str) {
        let idle = |slot: &Slot| slot.value.is_none() && slot.readers + slot.writers == 0;
        if self.slots.get(key).is_some_and(idle) {
            self.slots.remove(key);
        }
    }

    fn clear(&mut self) {
        self.octets = 0;
        self.slots.retain(|_, slot| {
            slot.value = None;
            slot.contested = true;
            slot.readers + slot.writers > 0
        });
    }
}

impl Turn<'_> {
    /// Says what storage has now.
    pub(crate) fn end(mut self, value: &Arc<[u8]>) {
        self.found = (value.len() <= LONGEST).then(|| Arc::clone(value));
    }
}

/// The turns of a save.
pub(crate) struct Saving<'a>(Vec<(Turn<'a>, Option<Arc<[u8]>>)>);

impl Saving<'_> {
    /// Says that storage has what was to be written.
    pub(crate) fn end(self) {
        for (turn, value) in self.0 {
            if let Some(value) = value {
                turn.end(&value);
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let found = self.found.take();
        self.recent.with(|entries| {
            if entries.octets > MOST {
                entries.clear();
            }
            let Some(slot) = entries.slots.get_mut(&*self.key) else {
                return;
            };
            match self.part {
                Part::Reads => slot.readers -= 1,
                Part::Writes => slot.writers -= 1,
            }
            if !slot.contested && slot.value.is_none() && slot.writers == 0 {
                entries.octets += found.as_ref().map_or(0, |value| value.len());
                slot.value = found;
            }
            if slot.readers + slot.writers == 0 {
                slot.contested = false;
            }
            entries.remove_if_idle(&self.key);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &[u8]) -> Arc<[u8]> {
        text.into()
    }

    fn found(recent: &Recent) -> Option<Vec<u8>> {
        recent.find("a").map(|value| value.to_vec())
    }

    #[test]
    fn what_was_read_or_written_is_kept() {
        let recent = Recent::default();
        assert_eq!(found(&recent), None);
        recent.reading("a").end(&bytes(b"1"));
        assert_eq!(found(&recent), Some(b"1".to_vec()));
        recent.writing("a").end(&bytes(b"2"));
        assert_eq!(found(&recent), Some(b"2".to_vec()));
        recent.forget("a");
        assert_eq!(found(&recent), None);
        recent.reading("a").end(&bytes(b"3"));
        recent.clear();
        assert_eq!(found(&recent), None);
        assert!(recent.0.lock().unwrap().slots.is_empty());
    }

    #[test]
    fn who_does_not_say_what_storage_has_leaves_nothing() {
        let recent = Recent::default();
        recent.reading("a").end(&bytes(b"1"));
        // A write that failed, or a deletion.
        drop(recent.writing("a"));
        assert_eq!(found(&recent), None);
        assert!(recent.0.lock().unwrap().slots.is_empty());
    }

    #[test]
    fn nothing_is_kept_while_others_write() {
        for (first, second) in [
            (Part::Reads, Part::Writes),
            (Part::Writes, Part::Reads),
            (Part::Writes, Part::Writes),
        ] {
            for first_ends_first in [true, false] {
                let recent = Recent::default();
                let (one, other) = (recent.begin("a", first), recent.begin("a", second));
                if first_ends_first {
                    one.end(&bytes(b"1"));
                    other.end(&bytes(b"2"));
                } else {
                    other.end(&bytes(b"2"));
                    one.end(&bytes(b"1"));
                }
                assert_eq!(found(&recent), None, "{first:?}, {second:?}");
                recent.reading("a").end(&bytes(b"3"));
                assert_eq!(found(&recent), Some(b"3".to_vec()));
            }
        }
        let recent = Recent::default();
        let (one, other) = (recent.reading("a"), recent.reading("a"));
        other.end(&bytes(b"1"));
        one.end(&bytes(b"1"));
        assert_eq!(found(&recent), Some(b"1".to_vec()));
    }

    #[test]
    fn a_change_elsewhere_voids_what_is_being_read() {
        let recent = Recent::default();
        let turn = recent.reading("a");
        recent.forget("a");
        turn.end(&bytes(b"1"));
        assert_eq!(found(&recent), None);
        let turn = recent.writing("a");
        recent.clear();
        turn.end(&bytes(b"1"));
        assert_eq!(found(&recent), None);
    }

    #[test]
    fn it_is_bounded() {
        let recent = Recent::default();
        let value = vec![0; LONGEST].into();
        for i in 0..3 * MOST / LONGEST {
            recent.writing(&i.to_string()).end(&value);
            let kept = recent.0.lock().unwrap();
            assert!(kept.octets <= MOST + LONGEST);
            let held: usize = kept
                .slots
                .values()
                .filter_map(|slot| slot.value.as_ref().map(|value| value.len()))
                .sum();
            assert_eq!(held, kept.octets);
        }
        recent.writing("long").end(&vec![0; LONGEST + 1].into());
        assert!(recent.find("long").is_none());
    }
}
