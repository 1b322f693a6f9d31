//! What a failed AWS call means and what the operator can do about it.

use std::error::Error as StdError;
use std::fmt::Write;

use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};

use crate::error::{Class, ServiceError};

/// Messages of services are cut at this length, for they end up in log lines.
const MESSAGE_LIMIT: usize = 1000;

/// Reads an SDK error. The caller adds key, Region, endpoint and principal.
pub(super) fn read<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> ServiceError
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let (class, code, message) = match error {
        SdkError::TimeoutError(_) => (
            Class::Outage,
            "timeout".to_owned(),
            "no answer in time".to_owned(),
        ),
        SdkError::DispatchFailure(failure)
            if failure
                .as_connector_error()
                .is_some_and(|cause| is_untrusted(cause)) =>
        {
            let cause = failure.as_connector_error();
            (
                Class::Config,
                UNTRUSTED.to_owned(),
                cause.map(|cause| causes(cause)).unwrap_or_default(),
            )
        }
        SdkError::DispatchFailure(failure) => {
            let cause = failure
                .as_connector_error()
                .map(|cause| causes(cause))
                .unwrap_or_default();
            let code = match failure.as_connector_error() {
                Some(cause) if cause.is_timeout() => "connection timeout",
                // The words of rustls and of hyper.
                _ if cause.contains("InvalidContentType") => PLAIN_HTTP,
                _ if cause.contains("invalid HTTP version") => TLS,
                _ => "connection failed",
            };
            (Class::Outage, code.to_owned(), cause)
        }
        SdkError::ResponseError(_) => {
            (Class::Outage, "unreadable answer".to_owned(), causes(error))
        }
        // A success that cannot be read comes from something else than AWS KMS, for instance a captive portal.
        SdkError::ServiceError(answer) if answer.raw().status().is_success() => (
            Class::Outage,
            "unreadable answer".to_owned(),
            causes(answer.err()),
        ),
        SdkError::ServiceError(answer) if wants_tls(answer.raw()) => (
            Class::Outage,
            TLS.to_owned(),
            "it answers that it speaks HTTPS".to_owned(),
        ),
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer
                .err()
                .code()
                .map_or_else(|| format!("HTTP status {status}"), str::to_owned);
            let message = answer.err().message().unwrap_or_default().to_owned();
            (class(&code, status), code, message)
        }
        _ => (
            Class::Config,
            "request could not be built".to_owned(),
            causes(error),
        ),
    };
    let message: String = message
        .chars()
        .filter(|c| !c.is_control())
        .take(MESSAGE_LIMIT)
        .collect();
    failure(operation, class, code, message)
}

/// The code of an endpoint whose certificate is of a CA that is not trusted here, or of another host. Waiting does not help.
const UNTRUSTED: &str = "endpoint not trusted";

/// The codes of endpoints that are given by the wrong scheme. What stands in their place for a while may be another program, so they count as outages.
const PLAIN_HTTP: &str = "endpoint speaks plain HTTP";
const TLS: &str = "endpoint does not speak plain HTTP";

/// Whether an answer is that of a server of HTTPS to plain HTTP, in the words of Go and of nginx.
fn wants_tls(answer: &HttpResponse) -> bool {
    let body = answer.body().bytes().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    answer.status().as_u16() == 400
        && ["HTTP request to an HTTPS server", "sent to HTTPS port"]
            .iter()
            .any(|words| body.contains(words))
}

fn is_untrusted(error: &(dyn StdError + 'static)) -> bool {
    use rustls::CertificateError::{NotValidForName, NotValidForNameContext, UnknownIssuer};
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() {
            return matches!(
                reason,
                UnknownIssuer | NotValidForName | NotValidForNameContext { .. }
            );
        }
        next = match error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref())
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// A failure that is not the service's: no answer within our own limit.
pub(super) fn timed_out(operation: &'static str) -> ServiceError {
    failure(
        operation,
        Class::Outage,
        "timeout".to_owned(),
        "no answer in time".to_owned(),
    )
}

fn failure(operation: &'static str, class: Class, code: String, message: String) -> ServiceError {
    let next_step = next_step(operation, class, &code);
    ServiceError {
        class,
        operation,
        code,
        message,
        key: None,
        region: None,
        endpoint: None,
        principal: None,
        next_step,
        attempts: 1,
    }
}

/// Whether new credentials may help. The service says so when those it got have expired or were replaced.
pub(super) fn wants_new_credentials(failure: &ServiceError) -> bool {
    failure.class == Class::Credentials
}

fn class(code: &str, status: u16) -> Class {
    match code {
        "ThrottlingException"
        | "Throttling"
        | "LimitExceededException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "SlowDown" => Class::Throttled,
        "KMSInternalException"
        | "DependencyTimeoutException"
        | "KeyUnavailableException"
        | "InternalFailure"
        | "InternalError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "IDPCommunicationError" => Class::Outage,
        "ExpiredTokenException"
        | "ExpiredToken"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationTokenException"
        | "InvalidIdentityToken" => Class::Credentials,
        "InvalidCiphertextException" | "IncorrectKeyException" | "KMSInvalidSignatureException" => {
            Class::Data
        }
        _ if status == 429 => Class::Throttled,
        _ if status >= 500 => Class::Outage,
        _ => Class::Refused,
    }
}

fn next_step(operation: &str, class: Class, code: &str) -> Option<String> {
    let step = match code {
        "AccessDeniedException" | "AccessDenied" if operation.starts_with("AssumeRole") => {
            "let the role's trust policy name that principal, and with an external id its condition".to_owned()
        }
        "AccessDeniedException" | "AccessDenied" => format!(
            "allow kms:{operation} on this key for that principal in the key policy or an IAM policy, and in the VPC endpoint's \
             policy if there is one"
        ),
        UNTRUSTED if rustls_native_certs::load_native_certs().certs.is_empty() => {
            "this machine has no CA certificates: install them (the package ca-certificates), or name those of that endpoint in \
             AWS_CA_BUNDLE"
                .to_owned()
        }
        UNTRUSTED => {
            "name the CA of that endpoint in AWS_CA_BUNDLE or install it in the system, or correct the endpoint".to_owned()
        }
        PLAIN_HTTP => "give the endpoint as http://, or name the port where it speaks HTTPS".to_owned(),
        TLS => "give the endpoint as https://".to_owned(),
        "NotFoundException" => "check the key's id, account and Region".to_owned(),
        "DisabledException" => "enable the key in AWS KMS".to_owned(),
        "KMSInvalidStateException" => "look at the key's state in AWS KMS; if its deletion is scheduled, cancel that: what it \
                                       wrapped is lost otherwise"
            .to_owned(),
        "InvalidKeyUsageException" => "use a symmetric key for a seal, and an asymmetric SIGN_VERIFY key for signing".to_owned(),
        "InvalidCiphertextException" => {
            "make sure that this Region and account hold the key that wrapped the data, and that the data is whole".to_owned()
        }
        "IncorrectKeyException" => "the data was wrapped by another key than the one it names".to_owned(),
        "InvalidIdentityToken" => "check that the role trusts the token's issuer and audience".to_owned(),
        "RequestExpired" | "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            "check the secret key and this machine's clock".to_owned()
        }
        _ => match class {
            Class::Throttled => "ask for a higher request quota, or look for what else uses it in this account and Region".to_owned(),
            Class::Credentials => "renew the credentials".to_owned(),
            Class::Outage => {
                "check the network path to the endpoint (DNS, proxy, VPC endpoint) and the service's health".to_owned()
            }
            _ => return None,
        },
    };
    Some(step)
}

/// The texts of an error and its causes in one line.
pub(super) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            let _ = write!(text, ": {next}");
        }
        cause = error.source();
    }
    text.chars()
        .filter(|c| !c.is_control())
        .take(MESSAGE_LIMIT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_told_from_refusal_although_both_are_status_400() {
        assert_eq!(class("ThrottlingException", 400), Class::Throttled);
        assert_eq!(class("AccessDeniedException", 400), Class::Refused);
        assert_eq!(class("DisabledException", 400), Class::Refused);
        assert_eq!(class("KMSInvalidStateException", 400), Class::Refused);
        assert_eq!(class("KeyUnavailableException", 400), Class::Outage);
        assert_eq!(class("ExpiredTokenException", 400), Class::Credentials);
        assert_eq!(class("IncorrectKeyException", 400), Class::Data);
        assert_eq!(class("HTTP status 503", 503), Class::Outage);
        assert_eq!(class("HTTP status 429", 429), Class::Throttled);
        assert_eq!(class("SomethingNew", 400), Class::Refused);
    }

    #[test]
    fn a_refused_permission_is_named_for_the_operation() {
        let step = next_step("Decrypt", Class::Refused, "AccessDeniedException").expect("a step");
        assert!(step.contains("kms:Decrypt"), "{step}");
        let step = next_step("AssumeRole", Class::Refused, "AccessDenied").expect("a step");
        assert!(step.contains("trust policy"), "{step}");
        assert_eq!(next_step("Encrypt", Class::Refused, "SomethingNew"), None);
    }
}
