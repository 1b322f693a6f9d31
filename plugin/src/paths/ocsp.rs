//! `ocsp`: the status of a certificate, for anybody to ask.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use schemars::JsonSchema;
use serde::Deserialize;

use landfast_pki::{OcspFailure, ocsp::MAX_REQUEST};
use landfast_sdk::logical::{Cx, Error, NoFields, Response};

use crate::fault;
use crate::metrics::Ocsp;
use crate::mount::Shared;
use crate::ocsp::{self, Refusal};

/// A question.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Encoded {
    /// An OCSP request in DER, as base64.
    req: String,
}

/// `GET ocsp/REQUEST`.
pub(crate) async fn get(mount: Shared, _cx: Cx, request: Encoded) -> Result<Response, Error> {
    Ok(respond(&mount, &decode(&request.req)).await)
}

/// `POST ocsp`. The host gives no plugin the body of such a request, so nothing but a failure can be answered.
pub(crate) async fn post(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Ok(respond(&mount, &[]).await)
}

/// Every outcome is an OCSP response, with the status that the built-in engine gives it.
async fn respond(mount: &Shared, request: &[u8]) -> Response {
    let failure = match ocsp::answer(mount, request).await {
        Ok((answer, told)) => {
            mount.metrics.ocsp.count(told);
            return Response::raw(200, CONTENT_TYPE, answer.to_vec());
        }
        Err(Refusal::Failure(failure)) => failure,
        Err(Refusal::Error(error)) if fault::passes(&error) => {
            tracing::debug!(%error, "an OCSP request is not answered now");
            OcspFailure::TryLater
        }
        Err(Refusal::Error(error)) => {
            let cause = match &error {
                Error::Internal { log, .. } => log.as_str(),
                _ => "",
            };
            tracing::warn!(%error, cause, "an OCSP request could not be answered");
            OcspFailure::InternalError
        }
    };
    let (status, told) = match failure {
        OcspFailure::MalformedRequest => (400, Ocsp::Malformed),
        OcspFailure::Unauthorized => (401, Ocsp::Unauthorized),
        OcspFailure::InternalError => (500, Ocsp::InternalError),
        OcspFailure::TryLater => (503, Ocsp::TryLater),
    };
    mount.metrics.ocsp.count(told);
    Response::raw(status, CONTENT_TYPE, failure.der().to_vec())
}

/// Base64 as RFC 6960 appendix A.1 has it, and as well with the letters of the URL-safe alphabet or without padding, so that no slash need be in
/// a path. What cannot be read becomes an empty request, which is malformed.
fn decode(text: &str) -> Vec<u8> {
    if text.len() >= MAX_REQUEST {
        return Vec::new();
    }
    let standard = text.replace('-', "+").replace('_', "/");
    LENIENT.decode(standard).unwrap_or_default()
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

const CONTENT_TYPE: &str = "application/ocsp-response";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_in_all_its_forms() {
        let bytes = [0xfb, 0xef, 0xbe, 0xff, 0xff];
        for text in ["++++//8=", "----__8=", "++++//8", "----__8"] {
            assert_eq!(decode(text), bytes, "{text}");
        }
        for text in ["", "!", "a b", "++++//8==", &"A".repeat(MAX_REQUEST)] {
            assert!(decode(text).is_empty(), "{text}");
        }
    }
}
