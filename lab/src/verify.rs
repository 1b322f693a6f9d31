//! The decision over one `CreateSession` request.

use jiff::Timestamp;
use landfast_base::arn::{Arn, ArnKind};
use landfast_pki::{Certificate, KeyType};
use landfast_rolesanywhere::policy::{ACTIONS, Context};
use landfast_rolesanywhere::session::{DURATIONS, MAX_CHAIN, PATH};
use landfast_rolesanywhere::sigv4::{self, Algorithm, Authorization};
use landfast_rolesanywhere::tags::{self, Facts};
use landfast_rolesanywhere::{rules, signature, trust};
use serde::Deserialize;

use crate::refusal::{Refusal, invalid};
use crate::request::{Request, canonical, decode_certificate, decode_query, parse_date, single};
use crate::state::{Anchor, Profile, Role, State};

/// A session that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The role.
    pub role: Arn,
    /// The session's name.
    pub session_name: String,
    /// Seconds.
    pub duration: u32,
    /// When it ends.
    pub expiration: Timestamp,
    /// The source identity.
    pub source_identity: String,
    /// The leaf's serial number in decimal.
    pub serial: String,
    /// The session tags.
    pub tags: Vec<(String, String)>,
    /// The certificate.
    pub leaf: Certificate,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    /// Any number, so that one out of range is told as such.
    duration_seconds: Option<serde_json::Number>,
    profile_arn: Option<String>,
    role_arn: Option<String>,
    trust_anchor_arn: Option<String>,
    role_session_name: Option<String>,
}

/// The three ARNs of a request.
struct Named {
    anchor: Arn,
    profile: Arn,
    role: Arn,
}

impl State {
    /// Decides over a request at `now`.
    ///
    /// # Errors
    /// The first [`Refusal`], in the order: form, credential, date, signature,
    /// resources, path, certificate, revocation, names and tags, role.
    pub fn decide(&self, request: &Request, now: Timestamp) -> Result<Granted, Refusal> {
        if request.method != "POST" || request.path != PATH {
            return Err(invalid("only POST /sessions opens a session"));
        }
        let query = decode_query(&request.query).ok_or_else(|| invalid("broken query"))?;
        let (leaf, chain) = self.authenticate(request, &query, now)?;
        let body: Body = match request.body.as_slice() {
            [] => Body::default(),
            body => serde_json::from_slice(body).map_err(|error| {
                invalid(&format!("the body is not that of CreateSession: {error}"))
            })?,
        };
        let named = arns(&query, &body)?;
        if named.anchor.region != self.region || named.profile.region != self.region {
            return Err(Refusal::Scope(format!(
                "a trust anchor and a profile in {}",
                self.region
            )));
        }
        let (anchor, profile) = self.resources(&named)?;

        let issuers =
            trust::path(&leaf, &chain, &anchor.certificates, now).map_err(Refusal::Untrusted)?;
        if let Some(finding) = rules::end_entity(&leaf).first() {
            return Err(Refusal::Insufficient(finding.clone()));
        }
        self.revocation(anchor, &leaf, &issuers)?;
        self.session(&named.role, anchor, profile, &body, &leaf, now)
    }

    /// Establishes that the holder of the leaf's key sent this request just now.
    fn authenticate(
        &self,
        request: &Request,
        query: &[(String, String)],
        now: Timestamp,
    ) -> Result<(Certificate, Vec<Certificate>), Refusal> {
        let header = |name: &str| single(&request.headers, name);
        let authorization = header("authorization")?
            .ok_or_else(|| invalid("the Authorization header is missing"))?;
        let authorization = Authorization::parse(authorization)?;
        let x509 =
            header("x-amz-x509")?.ok_or_else(|| invalid("the X-Amz-X509 header is missing"))?;
        let amz_date =
            header("x-amz-date")?.ok_or_else(|| invalid("the X-Amz-Date header is missing"))?;
        let leaf = decode_certificate(x509)?;
        let chain = match header("x-amz-x509-chain")? {
            None => Vec::new(),
            Some(list) => list
                .split(',')
                .map(decode_certificate)
                .collect::<Result<Vec<_>, _>>()?,
        };
        if chain.len() > MAX_CHAIN {
            return Err(invalid("the chain holds more than five certificates"));
        }

        for name in [
            "host",
            "x-amz-date",
            "x-amz-x509",
            "x-amz-x509-chain",
            "content-type",
        ] {
            let signed = authorization.signed_headers.iter().any(|s| s == name);
            if !signed && header(name)?.is_some() {
                return Err(Refusal::UnsignedHeader(name));
            }
        }
        if authorization.serial != sigv4::decimal(leaf.serial().as_bytes()) {
            return Err(Refusal::Credential(
                "the serial number is not its own, in decimal",
            ));
        }
        let fits = match leaf.public_key().key_type() {
            KeyType::Rsa => authorization.algorithm == Algorithm::Rsa,
            KeyType::Ec => authorization.algorithm == Algorithm::Ecdsa,
            KeyType::MlDsa => authorization.algorithm == Algorithm::MlDsa,
            KeyType::Ed25519 | KeyType::Other => false,
        };
        if !fits {
            return Err(Refusal::Credential("the algorithm is not that of its key"));
        }
        if authorization.scope.region != self.region
            || !amz_date.starts_with(&authorization.scope.date)
        {
            return Err(Refusal::Scope(format!(
                "{}, the day of X-Amz-Date",
                self.region
            )));
        }
        let sent =
            parse_date(amz_date).ok_or_else(|| invalid("X-Amz-Date is not YYYYMMDDThhmmssZ"))?;
        let off = now.duration_since(sent).as_secs();
        if off.unsigned_abs() > u64::from(self.skew) {
            return Err(Refusal::ClockSkew(off));
        }

        let canonical = canonical(request, &request.path, query, &authorization.signed_headers)?;
        let text = sigv4::string_to_sign(
            authorization.algorithm,
            amz_date,
            &authorization.scope,
            &canonical,
        );
        let genuine = signature::verify(
            authorization.algorithm,
            leaf.public_key().spki_der(),
            text.as_bytes(),
            &authorization.signature,
        );
        if genuine {
            Ok((leaf, chain))
        } else {
            Err(Refusal::Signature)
        }
    }

    fn resources(&self, named: &Named) -> Result<(&Anchor, &Profile), Refusal> {
        let anchor = self
            .anchors
            .iter()
            .find(|anchor| anchor.arn == named.anchor)
            .ok_or(Refusal::NotFound("the trust anchor"))?;
        let profile = self
            .profiles
            .iter()
            .find(|profile| profile.arn == named.profile)
            .ok_or(Refusal::NotFound("the profile"))?;
        if !anchor.enabled {
            return Err(Refusal::Disabled("the trust anchor"));
        }
        if !profile.enabled {
            return Err(Refusal::Disabled("the profile"));
        }
        Ok((anchor, profile))
    }

    /// A CRL revokes what its own issuer issued, leaf or intermediate: an issuer
    /// of the same name with another key is not its issuer.
    fn revocation(
        &self,
        anchor: &Anchor,
        leaf: &Certificate,
        issuers: &[&Certificate],
    ) -> Result<(), Refusal> {
        let lists = self
            .crls
            .iter()
            .filter(|crl| crl.enabled && crl.anchor == anchor.arn);
        for crl in lists {
            let subjects = std::iter::once(leaf).chain(issuers.iter().copied());
            for (certificate, issuer) in subjects.zip(issuers) {
                let listed = crl.list.issuer() == issuer.subject()
                    && crl.list.find(certificate.serial()).is_some();
                if listed && crl.list.verify_signed_by(issuer.public_key()).is_ok() {
                    return Err(Refusal::Revoked);
                }
            }
        }
        Ok(())
    }

    fn session(
        &self,
        role_arn: &Arn,
        anchor: &Anchor,
        profile: &Profile,
        body: &Body,
        leaf: &Certificate,
        now: Timestamp,
    ) -> Result<Granted, Refusal> {
        let denied = |rule: &'static str, why: &str| Refusal::Role {
            role: role_arn.to_string(),
            rule,
            why: why.to_owned(),
        };
        if !profile.roles.contains(role_arn) {
            return Err(denied("PF-03", "the profile does not list it"));
        }
        let role: &Role = self
            .roles
            .iter()
            .find(|role| role.arn == *role_arn)
            .ok_or_else(|| denied("AR-01", "there is no such role"))?;
        let facts = Facts::of(leaf);
        let session_name = match &body.role_session_name {
            None => facts.default_session_name(),
            Some(_) if !profile.accept_session_name => return Err(Refusal::SessionName),
            Some(name) if tags::is_session_name(name) => name.clone(),
            Some(_) => {
                return Err(invalid(
                    "roleSessionName takes 2 to 64 of A-Z a-z 0-9 _ + = , . @ -",
                ));
            }
        };
        let asked = match &body.duration_seconds {
            None => profile.duration,
            Some(given) => duration(given).map_err(invalid)?,
        };
        let duration = asked.min(profile.duration);
        if duration > role.max_duration {
            return Err(Refusal::Duration);
        }
        let bad = facts.bad_tags_under(&profile.mappings);
        if !bad.is_empty() {
            return Err(Refusal::Tags(failed_mappings(&bad)));
        }

        let context =
            Context::of_mapped_session(&facts, &anchor.arn, &session_name, &profile.mappings);
        for action in ACTIONS {
            match role.trust.allows(action, &context) {
                Ok(true) => {}
                Ok(false) => {
                    let why = format!("its trust policy does not allow {action}");
                    return Err(denied("TP-05", &why));
                }
                Err(error) => return Err(denied("TP-05", &error.to_string())),
            }
        }
        let expiration = now
            .checked_add(jiff::SignedDuration::from_secs(i64::from(duration)))
            .map_err(|_| invalid("the session would end beyond all time"))?;
        Ok(Granted {
            role: role_arn.clone(),
            session_name,
            duration,
            expiration,
            source_identity: facts.source_identity(),
            serial: sigv4::decimal(leaf.serial().as_bytes()),
            tags: facts.tags_under(&profile.mappings).into_iter().collect(),
            leaf: leaf.clone(),
        })
    }
}

/// A session's length, where it is one that the service takes.
///
/// Source: IAM Roles Anywhere user guide, "CreateSession API".
pub(crate) fn duration(given: &serde_json::Number) -> Result<u32, &'static str> {
    given
        .as_u64()
        .and_then(|seconds| u32::try_from(seconds).ok())
        .filter(|seconds| DURATIONS.contains(seconds))
        .ok_or("durationSeconds must be a whole number from 900 to 43200")
}

/// The ARNs from the query or the body; both may carry them if they agree.
fn arns(query: &[(String, String)], body: &Body) -> Result<Named, Refusal> {
    let pick = |name: &'static str, inside: &Option<String>, kind| {
        let mut values = query
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .chain(inside);
        let first = values
            .next()
            .ok_or_else(|| invalid(&format!("{name} is missing")))?;
        if values.any(|other| other != first) {
            return Err(invalid(&format!("{name} is given twice, differently")));
        }
        Arn::parse_as(first, kind).map_err(|error| invalid(&format!("{name}: {error}")))
    };
    Ok(Named {
        anchor: pick(
            "trustAnchorArn",
            &body.trust_anchor_arn,
            ArnKind::TrustAnchor,
        )?,
        profile: pick("profileArn", &body.profile_arn, ArnKind::Profile)?,
        role: pick("roleArn", &body.role_arn, ArnKind::Role)?,
    })
}

fn failed_mappings(bad: &[tags::BadTag]) -> String {
    let of = |prefix: &str| {
        let keys: Vec<&str> = bad
            .iter()
            .filter_map(|tag| tag.key.strip_prefix(prefix))
            .collect();
        keys.join(", ")
    };
    format!(
        "Issuer: [{}]; Subject: [{}]; SAN: [{}]",
        of("x509Issuer/"),
        of("x509Subject/"),
        of("x509SAN/")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_out_of_range_is_told_as_such_whatever_number_it_is() {
        for (text, seconds) in [
            ("900", Some(900)),
            ("43200", Some(43_200)),
            ("899", None),
            ("43201", None),
            ("-900", None),
            ("900.5", None),
            ("1e12", None),
            ("99999999999999999999", None),
        ] {
            let body: Body =
                serde_json::from_str(&format!("{{\"durationSeconds\": {text}}}")).unwrap();
            let found = duration(&body.duration_seconds.unwrap());
            assert_eq!(found.ok(), seconds, "{text}");
        }
    }
}
