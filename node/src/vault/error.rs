//! Why a call gave nothing, with what to do about it.

use reqwest::StatusCode;
use serde_json::Value;

use crate::files::FileError;
use crate::http::{self, HttpError, Trouble};

/// Why a call to the server gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A setting is not usable.
    #[error("{name}: {problem}")]
    Setting {
        /// The variable or flag.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that a setting names.
    #[error(transparent)]
    File(#[from] FileError),
    /// The HTTP client: a CA, or the client certificate.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A secret would go over plain HTTP.
    #[error(
        "{address} is plain HTTP to another machine: whoever is on the way could read the token and every secret. Give the server's https:// address, or say --allow-plain-http if the way is safe"
    )]
    Plain {
        /// The server's address.
        address: String,
    },
    /// The server redirects to where no secret may go.
    #[error(
        "{address}: {cause}; not followed. Look at the server's api_addr, or give the address of the active node"
    )]
    Redirect {
        /// The server's address.
        address: String,
        /// Where to, and why that is not safe.
        cause: String,
    },
    /// The server was not reached.
    #[error("no answer from {address}: {cause}; {advice}")]
    Transport {
        /// The server's address.
        address: String,
        /// What went wrong below.
        cause: String,
        /// What to do.
        advice: &'static str,
    },
    /// A token that the server does not know, by its words.
    #[error(
        "{path}: the server does not take the token (403): most likely it has ended or was revoked, or another server made it; log in again, with `bao login` or by --auth, or get a new token. If it is good, its policies must allow {operation} on the path"
    )]
    UnknownToken {
        /// The path.
        path: String,
        /// The operation in the words of a policy.
        operation: &'static str,
    },
    /// A call that needs a token, and there is none.
    #[error(
        "{path}: permission denied (403), and no token was sent; set BAO_TOKEN or VAULT_TOKEN, or log in with the server's own command, such as `bao login`"
    )]
    NoToken {
        /// The path.
        path: String,
    },
    /// The server is sealed or on its way up or down.
    #[error("the server is sealed or not ready (503){0}")]
    Sealed(String),
    /// The token, or the lack of one, does not allow the call.
    #[error("{path}: permission denied (403); the token's policies must allow {operation} on it")]
    Denied {
        /// The path.
        path: String,
        /// The operation in the words of a policy.
        operation: &'static str,
    },
    /// There is nothing at the path.
    #[error("{path}: nothing there (404){detail}; check the mount path and the name")]
    NotFound {
        /// The path.
        path: String,
        /// The server's texts, if any.
        detail: String,
    },
    /// The server refused the request.
    #[error("{path}: {message} ({status})")]
    Refused {
        /// The path.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The server's texts.
        message: String,
    },
    /// A login by AppRole without a secret id, which the server refused.
    #[error(
        "{path}: {message}, and no secret id was sent: look at the role id, or name the file with a secret id by --secret-id-file (`bao write -f -field=secret_id {role}/secret-id` makes one)"
    )]
    NoSecretId {
        /// The path.
        path: String,
        /// The server's texts.
        message: String,
        /// The path of roles on the mount.
        role: String,
    },
    /// There is no AWS identity to log in with.
    #[error(
        "AWS credentials: {0}; set AWS_PROFILE, or let `landfast credential-process` give them by a profile"
    )]
    AwsCredentials(String),
    /// A wrapping token that another path made than the one that should have.
    #[error(
        "the wrapped secret id was made by {found}, not by {wanted}: somebody may have put it there. It is left unopened; find out who made it, then get a new one"
    )]
    Wrapping {
        /// The path that made it.
        found: String,
        /// The path that should have.
        wanted: String,
    },
    /// The answer is not what the API documents.
    #[error("{path}: the answer lacks {missing}")]
    Answer {
        /// The path.
        path: String,
        /// The member that is not there, or not of its type.
        missing: &'static str,
    },
}

impl VaultError {
    pub(super) fn wants_tls(path: &str) -> Self {
        Self::Refused {
            path: path.to_owned(),
            status: 400,
            message: "the server speaks HTTPS: give its address as https://".into(),
        }
    }

    /// Whether the caller gave something that cannot be used, before anybody was asked.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Setting { .. }
                | Self::Plain { .. }
                | Self::Http(
                    HttpError::Authorities(_) | HttpError::Identity(_) | HttpError::Form { .. }
                )
        )
    }

    /// Whether the same call may succeed later without anybody's help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Sealed(_) => true,
            Self::Refused { status, .. } => {
                (*status == 429 || *status >= 500) && !self.is_about_a_certificate()
            }
            _ => false,
        }
    }

    /// Whether a login was refused for its client certificate: OpenBao says so
    /// with a 500 when that has ended, with a 400 when it does not know it.
    pub fn is_about_a_certificate(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 500, message, .. }
            if message.contains("client certificate") || message.contains("client's certificate"))
    }
}

/// What to do about a server that was not reached.
pub(super) fn advice(cause: &str, address_is_usual: bool) -> &'static str {
    match Trouble::of(cause) {
        Some(Trouble::PlainHttp) => {
            "it speaks plain HTTP: if that is right, as it is for a server in dev mode, give its address as http://"
        }
        Some(Trouble::Tls) => "it does not speak plain HTTP: give its address as https://",
        Some(Trouble::UnknownAuthority) if http::knows_nobody() => {
            "this machine has no CA certificates: install them (the package ca-certificates), or name the server's CA by --ca-cert, BAO_CACERT or VAULT_CACERT"
        }
        Some(Trouble::UnknownAuthority) => {
            "its certificate is of a CA that this machine does not know: name the CA by --ca-cert, BAO_CACERT or VAULT_CACERT"
        }
        Some(Trouble::OtherName) => {
            "its certificate has another name: give the address by a name that the certificate has"
        }
        None if address_is_usual => {
            "no address was given, so this one was tried: set BAO_ADDR or VAULT_ADDR, or give --address"
        }
        None => "check the address, the network and the server's CA",
    }
}

pub(super) fn refusal(
    status: StatusCode,
    path: &str,
    operation: &'static str,
    body: &[u8],
) -> VaultError {
    let texts = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|body| {
            let errors = body.get("errors")?.as_array()?;
            let texts: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
            Some(texts.join("; ").trim().to_owned())
        })
        .unwrap_or_default();
    let detail = if texts.is_empty() {
        String::new()
    } else {
        format!(": {texts}")
    };
    let path = path.to_owned();
    if http::wants_tls(status.as_u16(), body) {
        return VaultError::wants_tls(&path);
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE => VaultError::Sealed(detail),
        // What a policy denies is one of a list of errors; a token that is not known is told bare.
        StatusCode::FORBIDDEN
            if texts == "permission denied" || texts.contains("invalid token") =>
        {
            VaultError::UnknownToken { path, operation }
        }
        StatusCode::FORBIDDEN => VaultError::Denied { path, operation },
        StatusCode::NOT_FOUND => VaultError::NotFound { path, detail },
        _ => VaultError::Refused {
            path,
            status: status.as_u16(),
            message: texts,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::tests::config;
    use super::*;

    #[test]
    fn refusals_say_what_to_do() {
        let text = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            refusal(status, "pki/x", "read", body.as_bytes())
        };
        assert!(text(503, r#"{"errors":["Vault is sealed"]}"#).is_temporary());
        assert!(text(403, "{}").to_string().contains("must allow read"));
        assert!(text(404, "<html>").to_string().contains("check the mount"));
        let bad = text(400, r#"{"errors":["a","b"]}"#);
        assert_eq!(bad.to_string(), "pki/x: a; b (400)");
        assert!(!bad.is_temporary());
        assert!(text(500, "").is_temporary());
        for unknown in [
            r#"{"errors":["permission denied"]}"#,
            r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#,
        ] {
            assert!(text(403, unknown).to_string().contains("log in again"));
        }
        let denied = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
        assert!(!text(403, denied).to_string().contains("log in again"));
        let ended = r#"{"errors":["failed to verify client's certificate: x509: certificate has expired"]}"#;
        assert!(!text(500, ended).is_temporary());
    }

    #[test]
    fn an_address_that_does_not_answer_says_what_to_do() {
        for (cause, usual, part) in [
            (
                "received corrupt message of type InvalidContentType",
                false,
                "give its address as http://",
            ),
            ("invalid HTTP version parsed", false, "as https://"),
            (
                "invalid peer certificate: UnknownIssuer",
                false,
                "--ca-cert",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"a\"",
                false,
                "another name",
            ),
            ("Connection refused", true, "BAO_ADDR"),
            ("Connection refused", false, "check the address"),
        ] {
            assert!(advice(cause, usual).contains(part), "{cause}");
        }
        assert!(config(&[]).unwrap().address_is_usual);
        assert!(
            !config(&[("VAULT_ADDR", "https://v:1")])
                .unwrap()
                .address_is_usual
        );
        let body = b"Client sent an HTTP request to an HTTPS server.\n";
        let error = refusal(StatusCode::BAD_REQUEST, "pki/x", "read", body);
        assert!(error.to_string().contains("as https://"), "{error}");
    }
}
