//! What AWS's refusals usually mean.
//!
//! The service tells little; the texts are from its documentation and from the
//! issues of its own helper's users.

/// A cause and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Part of AWS's text, in lower case.
    sign: &'static str,
    /// What is usually wrong.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// The rules of `landfast doctor` whose findings would confirm it.
    pub rules: &'static [&'static str],
}

/// The usual cause behind a text of the service, if it is a known one.
pub fn of(message: &str) -> Option<&'static Cause> {
    let message = message.to_lowercase();
    CAUSES.iter().find(|cause| message.contains(cause.sign))
}

const CAUSES: [Cause; 10] = [
    Cause {
        sign: "untrusted signing certificate",
        cause: "no path leads from the certificate to the trust anchor: the CA that issued it is not in the anchor, or the certificate or the CA has ended",
        remedy: "put the issuing CA into the anchor (`landfast trust-anchor`); `landfast doctor` shows the path",
        rules: &[
            "CA-02", "CA-03", "CA-05", "CA-06", "CA-07", "CA-09", "EE-07", "EE-11",
        ],
    },
    Cause {
        sign: "insufficient certificate",
        cause: "the certificate breaks a rule for end entities, most often a key usage without digitalSignature",
        remedy: "`landfast doctor` names the rule; fix the role and enrol again",
        rules: &["EE-01", "EE-02", "EE-03", "EE-04", "EE-05", "EE-07"],
    },
    Cause {
        sign: "certificate revoked",
        cause: "the serial number is in an imported CRL",
        remedy: "if the node is to come back, enrol it again",
        rules: &["CR-02"],
    },
    Cause {
        sign: "exceeds the maxsessionduration",
        cause: "the profile or the request asks for a longer session than the role allows",
        remedy: "raise the role's MaxSessionDuration or lower --session-duration",
        rules: &["PF-02"],
    },
    Cause {
        sign: "mapped into session tags",
        cause: "an attribute of the certificate holds characters that no session tag may have; the text names which",
        remedy: "issue without that attribute, or narrow the profile's attribute mappings",
        rules: &["EE-09"],
    },
    Cause {
        sign: "set rolesessionname",
        cause: "the profile does not accept session names",
        remedy: "set acceptRoleSessionName on the profile, or leave --role-session-name out",
        rules: &["PF-01"],
    },
    Cause {
        sign: "unable to assume role",
        cause: "the role is not in the profile, the profile is disabled, or the role's trust policy says no: most often a common name that is not the session name, or an IAM change less than a minute old",
        remedy: "compare the trust policy's conditions with the certificate: `landfast doctor --trust-policy FILE`",
        rules: &["AR-01", "EE-08", "PF-03", "TP-01", "TP-05"],
    },
    Cause {
        sign: "signature expired",
        cause: "the clock is wrong",
        remedy: "set it right (NTP)",
        rules: &["EE-11"],
    },
    Cause {
        sign: "not found",
        cause: "an ARN is wrong, or names another Region",
        remedy: "compare the ARNs with the console; anchor and profile must be in one Region",
        rules: &["AR-01"],
    },
    Cause {
        sign: "rate exceeded",
        cause: "more than ten sessions a second in the account",
        remedy: "let credentials be cached: leave --no-cache out",
        rules: &[],
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
}
