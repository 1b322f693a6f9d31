//! A few sessions by the name of their Region.

use std::collections::VecDeque;

/// Sessions that are kept. Whoever may name a Region in a request may name many, and each session holds clients and connections.
pub(super) const KEPT: usize = 16;

/// The latest sessions that were made, oldest first.
pub(super) struct Sessions<T>(VecDeque<(String, T)>);

impl<T> Default for Sessions<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Sessions<T> {
    pub(super) fn get(&self, region: &str) -> Option<&T> {
        let mut all = self.0.iter();
        all.find_map(|(name, session)| (name == region).then_some(session))
    }

    /// Keeps a session that [`Sessions::get`] did not find. The oldest one goes when there are too many: whoever uses it goes on with it.
    pub(super) fn keep(&mut self, region: &str, session: T) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back((region.to_owned(), session));
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut sessions = Sessions::default();
        for number in 0..=KEPT {
            sessions.keep(&format!("eu-west-{number}"), number);
        }
        assert_eq!(sessions.count(), KEPT);
        assert_eq!(sessions.get("eu-west-0"), None);
        assert_eq!(sessions.get("eu-west-1"), Some(&1));
        assert_eq!(sessions.get(&format!("eu-west-{KEPT}")), Some(&KEPT));
    }
}
