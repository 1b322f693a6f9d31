//! Problem documents (RFC 7807) with the types of ACME (RFC 8555 section 6.7).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::Identifier;
use crate::algorithm::Algorithm;

/// The media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What every type of a problem begins with.
pub const PREFIX: &str = "urn:ietf:params:acme:error:";

/// Makes the type with its three columns, so that none can be forgotten.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $name:literal $status:literal $meaning:literal)*) => {
        /// The type of a problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            /// All of them, in the order of RFC 8555 section 6.7, then those of later documents.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name behind [`PREFIX`].
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status that goes with it where nothing else is said: that of the built-in engine.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The sentence for it, in the words that clients of the built-in engine know.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

kinds! {
    /// No account has this URL or key (RFC 8555 sections 6.2 and 7.3.1).
    AccountDoesNotExist "accountDoesNotExist" 400 "the request specified an account that does not exist"
    /// The certificate is revoked already (RFC 8555 section 7.6).
    AlreadyRevoked "alreadyRevoked" 400
        "the request specified a certificate to be revoked that has already been revoked"
    /// The request for a certificate is unacceptable (RFC 8555 section 7.4).
    BadCsr "badCSR" 400 "the CSR is unacceptable"
    /// The nonce is none of ours, used or too old (RFC 8555 section 6.5). Clients try again.
    BadNonce "badNonce" 400 "the client sent an unacceptable anti-replay nonce"
    /// The key is of a kind or size that is not taken (RFC 8555 section 6.2).
    BadPublicKey "badPublicKey" 400 "the JWS was signed by a public key the server does not support"
    /// The reason is none that may be given (RFC 8555 section 7.6).
    BadRevocationReason "badRevocationReason" 400 "the revocation reason provided is not allowed by the server"
    /// The algorithm is not taken. The document lists those that are (RFC 8555 section 6.2).
    BadSignatureAlgorithm "badSignatureAlgorithm" 400
        "the JWS was signed with an algorithm the server does not support"
    /// CAA records forbid to issue (RFC 8659).
    Caa "caa" 403 "certification Authority Authorization (CAA) records forbid the CA from issuing a certificate"
    /// Several things are wrong; the subproblems say what (RFC 8555 section 6.7.1).
    Compound "compound" 400 "specific error conditions are indicated in the 'subproblems' array"
    /// The host to validate was not reached.
    Connection "connection" 500 "the server could not connect to validation target"
    /// The name to validate was not resolved.
    Dns "dns" 500 "there was a problem with a DNS query during identifier validation"
    /// The account has to be bound to another one (RFC 8555 section 7.3.4).
    ExternalAccountRequired "externalAccountRequired" 401
        "the request must include a value for the 'externalAccountBinding' field"
    /// The host to validate answered something else.
    IncorrectResponse "incorrectResponse" 400 "response received didn't match the challenge's requirements"
    /// The contact is no valid URL (RFC 8555 section 7.3).
    InvalidContact "invalidContact" 400 "a contact URL for an account was invalid"
    /// The request is not what the protocol asks for.
    Malformed "malformed" 400 "the request message was malformed"
    /// Not all of the order's authorizations are valid (RFC 8555 section 7.4).
    OrderNotReady "orderNotReady" 403 "the request attempted to finalize an order that is not ready to be finalized"
    /// Too much at once (RFC 8555 section 6.6).
    RateLimited "rateLimited" 429 "the request exceeds a rate limit"
    /// No certificate is issued for this identifier, whoever controls it.
    RejectedIdentifier "rejectedIdentifier" 400 "the server will not issue certificates for the identifier"
    /// It is our fault.
    ServerInternal "serverInternal" 500 "the server experienced an internal error"
    /// The host to validate failed at TLS.
    Tls "tls" 500 "the server received a TLS error during validation"
    /// The client may not do this.
    Unauthorized "unauthorized" 401 "the client lacks sufficient authorization"
    /// The contact's scheme is not taken (RFC 8555 section 7.3).
    UnsupportedContact "unsupportedContact" 400 "a contact URL for an account used an unsupported protocol scheme"
    /// The identifier's type is not taken (RFC 8555 section 7.4).
    UnsupportedIdentifier "unsupportedIdentifier" 400 "an identifier is of an unsupported type"
    /// A person has to agree to something (RFC 8555 section 7.3.3).
    UserActionRequired "userActionRequired" 401 "visit the 'instance' URL and take actions specified there"
    /// Another order replaces this certificate already (RFC 9773 section 5).
    AlreadyReplaced "alreadyReplaced" 409
        "the request specified a certificate to be replaced that has already been replaced"
    /// The order's profile is none of the directory's (draft-ietf-acme-profiles section 4).
    InvalidProfile "invalidProfile" 400 "the request specified a profile that the server does not offer"
}

impl Kind {
    /// The whole type, a URN.
    pub fn urn(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    /// The kind of a URN.
    pub fn from_urn(urn: &str) -> Option<Self> {
        let name = urn.strip_prefix(PREFIX)?;
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// Why a request or a validation failed.
///
/// Its serde form is that of a stored challenge of the built-in engine; [`to_json`](Self::to_json) is the document for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The type.
    pub kind: Kind,
    /// What went wrong and what to do, for a person.
    pub detail: String,
    /// The HTTP status.
    pub status: u16,
    /// The parts, where there are several (RFC 8555 section 6.7.1).
    pub subproblems: Vec<Self>,
    /// Which identifier it is about. Only subproblems have one (RFC 8555 section 6.7.1).
    pub identifier: Option<Identifier>,
}

impl Problem {
    /// A problem with the usual status of its kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            status: kind.status(),
            subproblems: Vec::new(),
            identifier: None,
        }
    }

    /// Something is not as the protocol asks for: [`Kind::Malformed`].
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    /// The same, about this identifier. It is for a subproblem.
    pub fn about(mut self, identifier: Identifier) -> Self {
        self.identifier = Some(identifier);
        self
    }

    /// One problem of several: the only one itself, or a [`Kind::Compound`] with all of them below it. None of none.
    ///
    /// Each is kept as a subproblem where it names its identifier, because the top level cannot.
    pub fn of_all(mut problems: Vec<Self>) -> Option<Self> {
        let first = problems.first()?;
        if problems.len() > 1 {
            let mut all = Self::new(Kind::Compound, Kind::Compound.meaning());
            all.subproblems = problems;
            return Some(all);
        }
        if first.identifier.is_none() {
            return problems.pop();
        }
        let mut top = Self::new(first.kind, first.detail.clone());
        top.status = first.status;
        top.subproblems = problems;
        Some(top)
    }

    /// The problem document for a client (RFC 7807 section 3.1, RFC 8555 section 6.7).
    pub fn to_json(&self) -> Value {
        let mut document = Map::new();
        document.insert("type".into(), self.kind.urn().into());
        document.insert("detail".into(), self.detail.clone().into());
        document.insert("status".into(), self.status.into());
        if self.kind == Kind::BadSignatureAlgorithm {
            let names = Algorithm::ALL
                .iter()
                .map(|one| one.name())
                .collect::<Vec<_>>();
            document.insert("algorithms".into(), names.into());
        }
        if let Some(identifier) = &self.identifier {
            document.insert("identifier".into(), json!(identifier));
        }
        if !self.subproblems.is_empty() {
            let parts: Vec<Value> = self.subproblems.iter().map(Self::to_json).collect();
            document.insert("subproblems".into(), parts.into());
        }
        Value::Object(document)
    }
}

impl From<Kind> for Problem {
    /// The problem with the sentence of its kind.
    fn from(kind: Kind) -> Self {
        Self::new(kind, kind.meaning())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.detail)
    }
}

impl std::error::Error for Problem {}

/// A problem as the built-in engine stores it with a challenge: members in alphabetical order, a list even of no subproblems.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default)]
    detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identifier: Option<Identifier>,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    subproblems: Option<Vec<Problem>>,
    #[serde(default, rename = "type")]
    urn: String,
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = Stored {
            detail: self.detail.clone(),
            identifier: self.identifier.clone(),
            status: self.status,
            subproblems: Some(self.subproblems.clone()),
            urn: self.kind.urn(),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Problem {
    /// A type that is not known is read as [`Kind::ServerInternal`]: what was stored is shown, and decides nothing.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let kind = Kind::from_urn(&stored.urn).unwrap_or(Kind::ServerInternal);
        let status = Some(stored.status).filter(|status| (100..600).contains(status));
        Ok(Self {
            kind,
            detail: stored.detail,
            status: status.unwrap_or_else(|| kind.status()),
            subproblems: stored.subproblems.unwrap_or_default(),
            identifier: stored.identifier,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_what_clients_read() {
        let problem = Problem::new(Kind::BadNonce, "invalid or reused nonce");
        assert_eq!(
            problem.to_json(),
            json!({
                "type": "urn:ietf:params:acme:error:badNonce",
                "detail": "invalid or reused nonce",
                "status": 400,
            })
        );
        let bad = Problem::from(Kind::BadSignatureAlgorithm).to_json();
        let algorithms = bad["algorithms"].as_array().expect("a list");
        assert!(algorithms.contains(&json!("ES256")) && algorithms.contains(&json!("EdDSA")));
    }

    #[test]
    fn several_problems_are_one_with_parts() {
        let about = |name: &str| {
            let identifier = Identifier::new("dns", name).unwrap();
            Problem::new(Kind::RejectedIdentifier, format!("{name} is not ours")).about(identifier)
        };
        assert_eq!(Problem::of_all(Vec::new()), None);
        let one = Problem::of_all(vec![about("a.example")]).unwrap().to_json();
        assert_eq!(one["type"], "urn:ietf:params:acme:error:rejectedIdentifier");
        assert_eq!(one.get("identifier"), None, "only a part may name it");
        assert_eq!(
            one["subproblems"][0]["identifier"],
            json!({"type": "dns", "value": "a.example"})
        );
        let two = Problem::of_all(vec![about("a.example"), about("b.example")]).unwrap();
        assert_eq!(two.kind, Kind::Compound);
        assert_eq!(two.subproblems.len(), 2);
        let plain = Problem::of_all(vec![Problem::malformed("x")]).unwrap();
        assert_eq!(plain, Problem::malformed("x"));
    }

    /// The text is what the built-in engine stores: Go writes a map in the order of its keys.
    #[test]
    fn the_stored_form_is_that_of_the_built_in_engine() {
        let stored = concat!(
            r#"{"detail":"Response received didn't match","status":400,"subproblems":[],"#,
            r#""type":"urn:ietf:params:acme:error:incorrectResponse"}"#
        );
        let problem: Problem = serde_json::from_str(stored).unwrap();
        assert_eq!(problem.kind, Kind::IncorrectResponse);
        assert_eq!(problem.status, 400);
        assert_eq!(serde_json::to_string(&problem).unwrap(), stored);
        let odd: Problem =
            serde_json::from_str(r#"{"type":"about:blank","subproblems":null}"#).unwrap();
        assert_eq!(odd.kind, Kind::ServerInternal);
        assert_eq!(odd.status, 500);
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_urn(&kind.urn()), Some(*kind));
            assert!((400..600).contains(&kind.status()) && !kind.meaning().is_empty());
        }
        assert_eq!(Kind::ALL.len(), 26);
        assert_eq!(Kind::from_urn("badNonce"), None);
    }
}
