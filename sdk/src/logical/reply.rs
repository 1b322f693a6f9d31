//! Turns the outcome of a handler into what the host expects.

use serde_json::json;

use super::bounds;
use super::{Error, RawReply, RawResponse, ReplyError, StorageError};

// Error types of the protocol (pb.ProtoError).
const UNKNOWN: u32 = 0;
const INTERNAL: u32 = 2;
const CODED: u32 = 3;
const UNSUPPORTED_OPERATION: u32 = 5;
const UNSUPPORTED_PATH: u32 = 6;
const PERMISSION_DENIED: u32 = 8;

/// The answer to an error. Where the host would drop the text of a typed error, an error response goes with it. What only the log may tell
/// goes there.
pub(crate) fn of_error(error: Error) -> RawReply {
    match &error {
        Error::Internal { public, log } => tracing::error!(error = %log, "{public}"),
        Error::Storage(error @ (StorageError::Conflict | StorageError::Transport(_))) => {
            tracing::error!(%error, "storage failed");
        }
        _ => {}
    }
    answer(error)
}

/// The answer to a failure of the periodic work, of which only the log can tell: no client has asked for it.
pub(crate) fn of_periodic(error: Error, mount: &str) -> RawReply {
    tell("the periodic work", &error, mount);
    answer(error)
}

/// Tells the log of a failure that no answer tells.
pub(crate) fn tell(what: &str, error: &Error, mount: &str) {
    match error {
        // The node that may write does the work.
        Error::Storage(StorageError::ReadOnly(_)) => {
            tracing::debug!(%mount, %error, "{what} was left to the active node");
        }
        Error::Internal { log, .. } => {
            tracing::error!(%mount, cause = %log, "{what} failed: {error}");
        }
        _ => tracing::error!(%mount, "{what} failed: {error}"),
    }
}

fn answer(error: Error) -> RawReply {
    let value = |kind, message: String| RawReply {
        response: None,
        error: Some(ReplyError {
            kind,
            message,
            code: 0,
        }),
    };
    match error {
        Error::BadRequest(text) => RawReply {
            response: Some(error_response(&text)),
            error: None,
        },
        Error::Failed(text) => failed(UNKNOWN, text),
        Error::Internal { public, .. } => failed(INTERNAL, public),
        Error::NotFound(text) => RawReply {
            response: Some(error_response(&text)),
            error: Some(ReplyError {
                kind: UNSUPPORTED_PATH,
                message: "unsupported path".to_owned(),
                code: 0,
            }),
        },
        Error::PermissionDenied(text) => RawReply {
            response: Some(error_response(&text)),
            error: Some(ReplyError {
                kind: PERMISSION_DENIED,
                message: "permission denied".to_owned(),
                code: 0,
            }),
        },
        Error::UnsupportedPath => value(UNSUPPORTED_PATH, "unsupported path".to_owned()),
        Error::UnsupportedOperation => unsupported_operation(),
        Error::Status { code, message } => coded(code, message),
        Error::Storage(StorageError::ReadOnly(text) | StorageError::Host(text)) => {
            value(UNKNOWN, text)
        }
        Error::Storage(StorageError::Conflict | StorageError::Transport(_)) => {
            value(INTERNAL, "storage is not available".to_owned())
        }
    }
}

/// What every operation gets that is not served: the host ignores it where it only asks.
pub(crate) fn unsupported_operation() -> RawReply {
    RawReply {
        response: None,
        error: Some(ReplyError {
            kind: UNSUPPORTED_OPERATION,
            message: "unsupported operation".to_owned(),
            code: 0,
        }),
    }
}

fn failed(kind: u32, text: String) -> RawReply {
    // The host gives some texts a status of their own, wherever they stand. A typed code overrides that.
    if RECOGNISED.iter().any(|phrase| text.contains(phrase)) {
        return coded(500, text);
    }
    RawReply {
        response: None,
        error: Some(ReplyError {
            kind,
            message: presentable(text),
            code: 0,
        }),
    }
}

fn coded(code: u16, text: String) -> RawReply {
    // The host's HTTP server drops the connection on a status outside of this range.
    let code = if (100..600).contains(&code) {
        code
    } else {
        500
    };
    let message = presentable(text);
    RawReply {
        response: None,
        error: Some(ReplyError {
            kind: CODED,
            message,
            code: i64::from(code),
        }),
    }
}

fn error_response(text: &str) -> RawResponse {
    let text = presentable(text.to_owned());
    RawResponse {
        data: json!({ "error": text }).to_string().into(),
        ..RawResponse::default()
    }
}

/// A text that a caller had a hand in: it has an end, and must not make the host forward the request to another node.
fn presentable(mut text: String) -> String {
    bounds::text(&mut text);
    for phrase in FORWARDED {
        if text.contains(phrase) {
            text = text.replace(phrase, "...");
        }
    }
    text
}

/// Texts by which a host decides to send the request to the active node.
const FORWARDED: [&str; 4] = [
    "cannot write to readonly storage",
    "please forward to the active node",
    "node is not the leader",
    "Vault is in standby mode",
];

/// Texts by which a host chooses another status than 500.
const RECOGNISED: [&str; 14] = [
    "permission denied",
    "unsupported path",
    "unsupported operation",
    "invalid request",
    "relative paths not supported",
    "functionality on this path has been removed",
    "wrapping token is not valid or does not exist",
    "invalid credentials",
    "upstream rate limited",
    "rate limit quota exceeded",
    "lease count quota exceeded",
    "Vault is sealed",
    "locked namespace",
    "required index state not present",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::logged;

    #[test]
    fn the_log_learns_of_a_failure_of_the_periodic_work_of_any_kind() {
        let status = |code| Error::Status {
            code,
            message: "it is the reason".to_owned(),
        };
        for error in [
            Error::bad_request("it is the reason"),
            Error::failed("it is the reason"),
            Error::internal("it broke", "it is the reason"),
            Error::NotFound("it is the reason".to_owned()),
            Error::denied("it is the reason"),
            status(503),
            status(200),
            Error::Storage(StorageError::Host("it is the reason".to_owned())),
            Error::Storage(StorageError::Transport("it is the reason".to_owned())),
        ] {
            let case = format!("{error:?}");
            let log = logged(|| drop(of_periodic(error, "team/ports/")));
            assert_eq!(log.lines().count(), 1, "{case}: {log}");
            for part in [
                "ERROR",
                "it is the reason",
                "mount=team/ports/",
                "the periodic work",
            ] {
                assert!(log.contains(part), "{case}: {log}");
            }
        }
        for (error, text) in [
            (Error::UnsupportedOperation, "unsupported operation"),
            (Error::UnsupportedPath, "unsupported path"),
            (Error::Storage(StorageError::Conflict), "ERROR"),
        ] {
            let log = logged(|| drop(of_periodic(error, "ports/")));
            assert!(log.contains(text) && log.contains("mount=ports/"), "{log}");
        }
    }
}
