//! Metadata tokens: each carries its end, under a code that only this process makes.
//!
//! Nothing is kept of them, so that however many are asked for, none is forgotten and
//! none costs memory. They end with the process, and SDKs then ask for new ones.

use std::time::Instant;

use landfast_base::{NoRandomness, Secret, hex, hmac_sha256, random};

/// What makes tokens, and knows its own.
pub(super) struct Tokens {
    key: Secret<[u8; 32]>,
    /// Ends are counted from here, so that nobody moves them with the clock.
    start: Instant,
}

/// Digits of the end, the random part, and the code, in hex.
const END: usize = 16;
const RANDOM: usize = 16;
const CODE: usize = 64;

impl Tokens {
    /// Tokens of a new key.
    pub(super) fn new() -> Result<Self, NoRandomness> {
        Ok(Self {
            key: Secret::new(random()?),
            start: Instant::now(),
        })
    }

    /// A token that is good for `ttl` seconds.
    pub(super) fn make(&self, ttl: u64) -> Result<String, NoRandomness> {
        self.make_at(self.now() + ttl)
    }

    /// Whether a token is one of ours, and not over.
    pub(super) fn is_good(&self, token: &[u8]) -> bool {
        self.is_good_at(token, self.now())
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    fn make_at(&self, end: u64) -> Result<String, NoRandomness> {
        // No two are the same, so that one that is seen says nothing of another.
        let random = hex(&random::<{ RANDOM / 2 }>()?);
        let content = format!("{end:016x}{random}");
        let code = hex(&hmac_sha256(self.key.expose(), content.as_bytes()));
        Ok(content + &code)
    }

    fn is_good_at(&self, token: &[u8], now: u64) -> bool {
        if token.len() != END + RANDOM + CODE {
            return false;
        }
        let (content, code) = token.split_at(END + RANDOM);
        let ours = Secret::new(hex(&hmac_sha256(self.key.expose(), content)));
        if !ours.matches(code) {
            return false;
        }
        // Under our code, it has our form.
        let end = std::str::from_utf8(&content[..END]).ok();
        let end = end.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        end.is_some_and(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_token_is_good_until_its_end_and_none_is_forgotten() {
        let tokens = Tokens::new().unwrap();
        let all: HashSet<String> = (0..1000).map(|_| tokens.make_at(60).unwrap()).collect();
        assert_eq!(all.len(), 1000, "no two are the same");
        for token in &all {
            assert!(tokens.is_good_at(token.as_bytes(), 59));
            assert!(!tokens.is_good_at(token.as_bytes(), 60));
        }
        assert!(tokens.is_good(tokens.make(60).unwrap().as_bytes()));
    }

    #[test]
    fn no_other_token_is_good() {
        let tokens = Tokens::new().unwrap();
        let token = tokens.make_at(60).unwrap();
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'f' { b'0' } else { b'f' };
            assert!(!tokens.is_good_at(&other, 0), "octet {at}");
        }
        for other in ["", "guess", &token[1..], &format!("{token}0")] {
            assert!(!tokens.is_good_at(other.as_bytes(), 0), "{other}");
        }
        let stranger = Tokens::new().unwrap().make_at(60).unwrap();
        assert!(!tokens.is_good_at(stranger.as_bytes(), 0));
    }
}
