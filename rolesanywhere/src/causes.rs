//! What AWS's refusals usually mean.
//!
//! The service tells little; the texts are from its documentation and from the
//! issues of its own helper's users.

/// A cause and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Parts of AWS's text or of its error type, in lower case; one will do.
    signs: &'static [&'static str],
    /// What is usually wrong.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// The rules of `landfast doctor` whose findings would confirm it.
    pub rules: &'static [&'static str],
}

/// The usual cause behind a text of the service, with its error type or
/// without, if it is a known one.
pub fn of(message: &str) -> Option<&'static Cause> {
    let message = message.to_lowercase();
    let known = |cause: &&Cause| cause.signs.iter().any(|sign| message.contains(sign));
    CAUSES.iter().find(known)
}

/// The first that fits is taken: what a text says, before its error type, which
/// says less.
const CAUSES: [Cause; 14] = [
    Cause {
        signs: &["untrusted signing certificate"],
        cause: "no path leads from the certificate to the trust anchor: the CA that issued it is not in the anchor, or the certificate or the CA has ended",
        remedy: "put the issuing CA into the anchor (`landfast trust-anchor`); `landfast doctor` shows the path",
        rules: &[
            "CA-02", "CA-03", "CA-05", "CA-06", "CA-07", "CA-09", "EE-07", "EE-11",
        ],
    },
    Cause {
        signs: &["insufficient certificate"],
        cause: "the certificate breaks a rule for end entities, most often a key usage without digitalSignature",
        remedy: "`landfast doctor` names the rule; fix the role and enrol again",
        rules: &["EE-01", "EE-02", "EE-03", "EE-04", "EE-05", "EE-07"],
    },
    Cause {
        signs: &["certificate revoked"],
        cause: "the serial number is in an imported CRL",
        remedy: "if the node is to come back, enrol it again",
        rules: &["CR-02"],
    },
    Cause {
        signs: &["exceeds the maxsessionduration"],
        cause: "the profile or the request asks for a longer session than the role allows",
        remedy: "raise the role's MaxSessionDuration or lower --session-duration",
        rules: &["PF-02"],
    },
    Cause {
        signs: &["mapped into session tags"],
        cause: "an attribute of the certificate holds characters that no session tag may have; the text names which",
        remedy: "issue without that attribute, or narrow the profile's attribute mappings",
        rules: &["EE-09"],
    },
    Cause {
        signs: &["set rolesessionname"],
        cause: "the profile does not accept session names",
        remedy: "set acceptRoleSessionName on the profile, or leave --role-session-name out",
        rules: &["PF-01"],
    },
    Cause {
        signs: &["unable to assume role"],
        cause: "the role is not in the profile, the profile is disabled, or the role's trust policy says no: most often a common name that is not the session name, or an IAM change less than a minute old",
        remedy: "compare the trust policy's conditions with the certificate: `landfast doctor --trust-policy FILE`",
        rules: &["AR-01", "EE-08", "PF-03", "TP-01", "TP-05"],
    },
    Cause {
        signs: &[
            "signature expired",
            "not yet current",
            "request has expired",
        ],
        cause: "this machine's clock is wrong: behind if the signature has expired, ahead if it is not yet current",
        remedy: "set it right (NTP); `landfast doctor --online` says how far off it is",
        rules: &["EE-11", "ON-02"],
    },
    Cause {
        signs: &["should be scoped to"],
        cause: "the request was signed for another Region than the endpoint's, or for another service",
        remedy: "give --region the Region of --endpoint, which is that of the trust anchor; or leave both out",
        rules: &["AR-01"],
    },
    Cause {
        signs: &[
            "signature does not match",
            "does not match the signature",
            "invalidsignature",
        ],
        cause: "what arrived is not what was signed: the key is not the certificate's, or a proxy changed the request or its Host header",
        remedy: "`landfast doctor` compares key and certificate; then try without the proxy",
        rules: &["EE-06"],
    },
    Cause {
        signs: &["not found", "resourcenotfound"],
        cause: "the trust anchor or the profile is not there: an ARN is wrong, or names another Region",
        remedy: "compare the ARNs with the console; anchor and profile must be in one Region",
        rules: &["AR-01"],
    },
    Cause {
        signs: &[
            "rate exceeded",
            "throttl",
            "too many requests",
            "toomanyrequests",
        ],
        cause: "more than ten sessions a second in the account, or too many by one certificate",
        remedy: "let credentials be cached: leave --no-cache out",
        rules: &[],
    },
    Cause {
        signs: &["serviceunavailable", "service unavailable"],
        cause: "trouble in AWS, not on this machine",
        remedy: "try again later; `update` and `serve` do so by themselves, and sessions that run go on",
        rules: &[],
    },
    Cause {
        signs: &["validation"],
        cause: "a value has not the form that AWS wants: an ARN, a session name, or a length outside 900 to 43200 seconds",
        remedy: "copy the ARNs from the console, and hold --session-duration and --role-session-name against `landfast credential-process --help`",
        rules: &["AR-01", "PF-02"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts_are_explained_in_any_case() {
        let cause = of("Untrusted signing certificate").unwrap();
        assert!(cause.remedy.contains("trust-anchor"));
        assert!(of("Unable to assume role for arn:aws:iam::1:role/x").is_some());
        assert!(of("something new").is_none());
    }

    #[test]
    fn every_refusal_of_the_service_has_a_cause_of_its_own() {
        for (text, part) in [
            ("ResourceNotFoundException", "ARN"),
            ("ResourceNotFoundException: the profile not found", "ARN"),
            ("ServiceUnavailableException (503)", "AWS"),
            ("ValidationException: 1 validation error detected", "form"),
            ("InvalidSignatureException", "was signed"),
            ("the request signature does not match", "was signed"),
            (
                "The request signature we calculated does not match the signature you provided.",
                "was signed",
            ),
            (
                "InvalidSignatureException: Credential should be scoped to a valid region.",
                "another Region",
            ),
            (
                "InvalidSignatureException: Signature not yet current: 20260901T120000Z is still later",
                "ahead",
            ),
            (
                "InvalidSignatureException: Signature expired: 20260901T120000Z is now earlier",
                "behind",
            ),
            ("ThrottlingException", "ten sessions"),
        ] {
            let cause = of(text).unwrap_or_else(|| panic!("unknown: {text}"));
            assert!(cause.cause.contains(part), "{text}: {}", cause.cause);
            assert!(!cause.remedy.is_empty());
        }
    }
}
