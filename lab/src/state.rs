//! What the lab knows: anchors, CRLs, profiles and roles of one account in one
//! Region, with the limits of the real service.

use std::collections::BTreeMap;

use jiff::Timestamp;
use landfast_base::arn::Arn;
use landfast_base::limits::{ANCHOR_CERTIFICATES, ANCHOR_CRLS, ANCHOR_OCTETS, ANCHORS, CRL_OCTETS};
use landfast_base::{hex, random, uuid};
use landfast_pki::anchor::{self, Expectations};
use landfast_pki::{Certificate, Crl as RevocationList, pem};
use landfast_rolesanywhere::policy::TrustPolicy;
use landfast_rolesanywhere::tags::Mappings;
use serde_json::Value;

use crate::signer::{Issued, SignatureError};
use crate::verify::Granted;

/// Subjects that the lab remembers; whoever was not seen for longest is forgotten first.
pub const MAX_SUBJECTS: usize = 1000;
/// Certificates of a subject that the lab remembers, the latest.
pub const MAX_SEEN: usize = 20;

/// The account's resources.
#[derive(Debug)]
pub struct State {
    /// The account that everything belongs to.
    pub account: String,
    /// The Region that the lab plays.
    pub region: String,
    /// How far a request's date may be from the lab's clock, in seconds.
    ///
    /// AWS does not publish its own window.
    pub skew: u32,
    /// Names by which clients call the lab, besides those of this machine.
    pub hosts: Vec<String>,
    /// Certificates that an anchor may hold; 2 at the time of writing.
    pub bundle_limit: usize,
    /// Trust anchors.
    pub anchors: Vec<Anchor>,
    /// Imported CRLs.
    pub crls: Vec<Crl>,
    /// Profiles.
    pub profiles: Vec<Profile>,
    /// IAM roles.
    pub roles: Vec<Role>,
    /// Who opened sessions, by the subject of the certificate.
    pub subjects: Vec<Subject>,
    /// The credentials of running sessions, by access key id.
    pub(crate) sessions: BTreeMap<String, Issued>,
}

/// When something was made, and when it was changed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// `createdAt`.
    pub created: Timestamp,
    /// `updatedAt`.
    pub updated: Timestamp,
}

impl Times {
    /// Made now.
    pub const fn at(now: Timestamp) -> Self {
        Self {
            created: now,
            updated: now,
        }
    }
}

impl Default for Times {
    /// The beginning of time, for what was not made by a call.
    fn default() -> Self {
        Self::at(Timestamp::UNIX_EPOCH)
    }
}

/// A trust anchor.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// Its ARN.
    pub arn: Arn,
    /// Its name.
    pub name: String,
    /// Whether it takes part.
    pub enabled: bool,
    /// Its certificates.
    pub certificates: Vec<Certificate>,
    /// Its own notification settings, as they were given; AWS's stand beside them.
    pub notifications: Vec<Value>,
    /// Since when it is there.
    pub times: Times,
}

impl Anchor {
    /// An enabled anchor of these certificates.
    pub fn new(arn: Arn, name: &str, certificates: Vec<Certificate>) -> Self {
        Self {
            arn,
            name: name.to_owned(),
            enabled: true,
            certificates,
            notifications: Vec::new(),
            times: Times::default(),
        }
    }
}

/// An imported revocation list.
#[derive(Clone, Debug)]
pub struct Crl {
    /// Its ARN.
    pub arn: Arn,
    /// Its name.
    pub name: String,
    /// Whether it takes part.
    pub enabled: bool,
    /// The anchor that it belongs to.
    pub anchor: Arn,
    /// The list.
    pub list: RevocationList,
    /// Since when it is there.
    pub times: Times,
}

/// A profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its ARN.
    pub arn: Arn,
    /// Its name.
    pub name: String,
    /// Whether it takes part.
    pub enabled: bool,
    /// The roles that sessions may assume through it.
    pub roles: Vec<Arn>,
    /// The session length in seconds.
    pub duration: u32,
    /// Whether requests may name their session.
    pub accept_session_name: bool,
    /// Which parts of a certificate become session tags.
    pub mappings: Mappings,
    /// The session policy, as text; the lab keeps it and decides nothing by it.
    pub session_policy: Option<String>,
    /// Managed policies that narrow sessions; kept only, as the session policy.
    pub managed_policies: Vec<Arn>,
    /// Since when it is there.
    pub times: Times,
}

impl Profile {
    /// An enabled profile with AWS's defaults: one hour, no session names.
    pub fn new(arn: Arn, name: &str, roles: Vec<Arn>) -> Self {
        Self {
            arn,
            name: name.to_owned(),
            enabled: true,
            roles,
            duration: 3600,
            accept_session_name: false,
            mappings: Mappings::default(),
            session_policy: None,
            managed_policies: Vec::new(),
            times: Times::default(),
        }
    }
}

/// Somebody who opened sessions: all certificates with one subject.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its ARN.
    pub arn: Arn,
    /// The subject's distinguished name.
    pub name: String,
    /// When it first opened a session.
    pub created: Timestamp,
    /// The certificates that it showed, and when last.
    pub seen: Vec<(Certificate, Timestamp)>,
}

/// An IAM role.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its ARN.
    pub arn: Arn,
    /// The longest session in seconds.
    pub max_duration: u32,
    /// Who may assume it.
    pub trust: TrustPolicy,
}

/// Why a control-plane call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The request breaks a rule of the API.
    #[error("{0}")]
    Validation(String),
    /// There is no such resource.
    #[error("{0} does not exist")]
    NotFound(&'static str),
    /// The signature of the request.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A caller who may not do that.
    #[error("{0} is not authorized: the lab lets its administrator only change things")]
    Denied(String),
    /// No such operation.
    #[error("the lab has no such operation")]
    Operation,
}

impl ControlError {
    /// The HTTP status and the error type of the answer.
    pub const fn status(&self) -> (u16, &'static str) {
        match self {
            Self::Validation(_) => (400, "ValidationException"),
            Self::NotFound(_) => (404, "ResourceNotFoundException"),
            Self::Signature(error) => error.status(),
            Self::Denied(_) => (403, "AccessDeniedException"),
            Self::Operation => (404, "UnknownOperationException"),
        }
    }
}

impl State {
    /// An empty account.
    pub fn new(account: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            account: account.into(),
            region: region.into(),
            skew: 300,
            hosts: Vec::new(),
            bundle_limit: ANCHOR_CERTIFICATES,
            anchors: Vec::new(),
            crls: Vec::new(),
            profiles: Vec::new(),
            roles: Vec::new(),
            subjects: Vec::new(),
            sessions: BTreeMap::new(),
        }
    }

    /// Makes up credentials for a granted session, and remembers who opened it.
    ///
    /// # Errors
    /// [`ControlError::Validation`] when there is no randomness.
    pub(crate) fn open(
        &mut self,
        granted: &Granted,
        now: Timestamp,
    ) -> Result<(Arn, String, Issued), ControlError> {
        let secret = || -> Result<String, ControlError> {
            random::<20>()
                .map(|random| hex(&random))
                .map_err(|error| ControlError::Validation(error.to_string()))
        };
        let role = &granted.role;
        let issued = Issued {
            secret: secret()?,
            token: secret()? + &secret()?,
            arn: format!(
                "arn:{}:sts::{}:assumed-role/{}/{}",
                role.partition,
                role.account,
                role.name(),
                granted.session_name
            ),
            expiration: granted.expiration,
        };
        self.sessions.retain(|_, session| session.expiration > now);
        let id = format!("ASIALAB{}", &secret()?[..13].to_uppercase());
        self.sessions.insert(id.clone(), issued.clone());

        let leaf = &granted.leaf;
        let name = leaf.subject().to_string();
        let arn = self.new_arn("subject")?;
        let index = self.subjects.iter().position(|one| one.name == name);
        let index = index.unwrap_or_else(|| {
            self.forget_subjects();
            self.subjects.push(Subject {
                arn,
                name,
                created: now,
                seen: Vec::new(),
            });
            self.subjects.len() - 1
        });
        let subject = &mut self.subjects[index];
        subject.seen.retain(|(known, _)| known != leaf);
        subject.seen.push((leaf.clone(), now));
        let excess = subject.seen.len().saturating_sub(MAX_SEEN);
        subject.seen.drain(..excess);
        Ok((subject.arn.clone(), id, issued))
    }

    /// Makes a place for one more subject.
    fn forget_subjects(&mut self) {
        while self.subjects.len() >= MAX_SUBJECTS {
            let last = |one: &Subject| one.seen.last().map(|(_, at)| *at);
            let oldest = (0..self.subjects.len()).min_by_key(|index| last(&self.subjects[*index]));
            self.subjects.remove(oldest.unwrap_or_default());
        }
    }

    /// Creates an anchor, as CreateTrustAnchor does.
    ///
    /// # Errors
    /// [`ControlError::Validation`] for a bundle that breaks a rule.
    pub fn create_anchor(
        &mut self,
        name: &str,
        bundle: &str,
        enabled: bool,
        now: Timestamp,
    ) -> Result<&Anchor, ControlError> {
        check_name(name)?;
        if self.anchors.len() >= ANCHORS {
            return Err(ControlError::Validation(format!(
                "the account has {ANCHORS} trust anchors already"
            )));
        }
        let certificates = self.check_bundle(bundle, now)?;
        let arn = self.new_arn("trust-anchor")?;
        self.anchors.push(Anchor {
            enabled,
            times: Times::at(now),
            ..Anchor::new(arn, name, certificates)
        });
        Ok(self.anchors.last().expect("just pushed"))
    }

    /// Replaces an anchor's bundle, as UpdateTrustAnchor does.
    ///
    /// # Errors
    /// [`ControlError`] for an unknown anchor or a bad bundle; nothing changes then.
    pub fn update_anchor(
        &mut self,
        id: &str,
        bundle: &str,
        now: Timestamp,
    ) -> Result<&Anchor, ControlError> {
        let certificates = self.check_bundle(bundle, now)?;
        let anchor = self
            .anchors
            .iter_mut()
            .find(|anchor| anchor.arn.name() == id)
            .ok_or(ControlError::NotFound("the trust anchor"))?;
        anchor.certificates = certificates;
        anchor.times.updated = now;
        Ok(anchor)
    }

    /// Imports a CRL for an anchor, as ImportCrl does.
    ///
    /// # Errors
    /// [`ControlError`]: too large, not a CRL, signed by nobody in the anchor, or a third one.
    pub fn import_crl(
        &mut self,
        name: &str,
        data: &[u8],
        anchor: &Arn,
        enabled: bool,
        now: Timestamp,
    ) -> Result<&Crl, ControlError> {
        check_name(name)?;
        let list = self.check_crl(data, anchor)?;
        if self.crls.iter().filter(|crl| crl.anchor == *anchor).count() >= ANCHOR_CRLS {
            return Err(ControlError::Validation(
                "the trust anchor has two CRLs already: update one of them".into(),
            ));
        }
        self.crls.push(Crl {
            arn: self.new_arn("crl")?,
            name: name.to_owned(),
            enabled,
            anchor: anchor.clone(),
            list,
            times: Times::at(now),
        });
        Ok(self.crls.last().expect("just pushed"))
    }

    /// Replaces a CRL, as UpdateCrl does.
    ///
    /// # Errors
    /// As for [`import_crl`](Self::import_crl).
    pub fn update_crl(&mut self, id: &str, data: &[u8]) -> Result<&Crl, ControlError> {
        let missing = ControlError::NotFound("the CRL");
        let index = self
            .crls
            .iter()
            .position(|crl| crl.arn.name() == id)
            .ok_or(missing)?;
        let list = self.check_crl(data, &self.crls[index].anchor)?;
        self.crls[index].list = list;
        Ok(&self.crls[index])
    }

    /// An ARN for a new resource of this account.
    ///
    /// # Errors
    /// [`ControlError::Validation`] when there is no randomness.
    pub fn new_arn(&self, kind: &str) -> Result<Arn, ControlError> {
        let random = random::<16>().map_err(|error| ControlError::Validation(error.to_string()))?;
        Ok(Arn {
            partition: "aws".into(),
            service: "rolesanywhere".into(),
            region: self.region.clone(),
            account: self.account.clone(),
            resource: format!("{kind}/{}", uuid(&random)),
        })
    }

    /// The rules CA-01 to CA-08 as far as the service applies them.
    fn check_bundle(&self, bundle: &str, now: Timestamp) -> Result<Vec<Certificate>, ControlError> {
        let invalid = |text: String| Err(ControlError::Validation(text));
        if bundle.len() > ANCHOR_OCTETS {
            return invalid(format!(
                "x509CertificateData is longer than {ANCHOR_OCTETS} characters"
            ));
        }
        let secret = |block: &pem::Block| block.label.ends_with("PRIVATE KEY");
        if pem::blocks(bundle.as_bytes()).iter().any(secret) {
            return invalid(
                "x509CertificateData holds a private key: a trust anchor takes certificates only; if the key was shown to others, replace it".into(),
            );
        }
        let certificates = match Certificate::all_from_pem(bundle.as_bytes()) {
            Ok(certificates) => certificates,
            Err(error) => return invalid(format!("x509CertificateData: {error}")),
        };
        let expected = Expectations {
            max_certificates: self.bundle_limit,
            max_octets: ANCHOR_OCTETS,
            issuing: None,
        };
        let report = anchor::check_against(&certificates, expected, now);
        match report.errors.first() {
            // The one text of AWS's that is known.
            Some(problem) if problem.rule == "CA-02" => {
                invalid("Incorrect basic constraints for CA certificate".to_owned())
            }
            Some(problem) => invalid(format!("x509CertificateData: {}", problem.text)),
            None => Ok(certificates),
        }
    }

    fn check_crl(&self, data: &[u8], anchor: &Arn) -> Result<RevocationList, ControlError> {
        let invalid = |text: &str| ControlError::Validation(text.to_owned());
        if data.len() > CRL_OCTETS {
            return Err(invalid("crlData is longer than 300000 octets"));
        }
        let anchor = self
            .anchors
            .iter()
            .find(|known| known.arn == *anchor)
            .ok_or(ControlError::NotFound("the trust anchor"))?;
        let list = RevocationList::from_pem(data)
            .or_else(|_| RevocationList::from_der(data))
            .map_err(|error| invalid(&format!("crlData: {error}")))?;
        let signed = anchor.certificates.iter().any(|ca| {
            ca.subject() == list.issuer() && list.verify_signed_by(ca.public_key()).is_ok()
        });
        if !signed {
            return Err(invalid(
                "crlData: the CRL is not signed by a certificate of the trust anchor",
            ));
        }
        Ok(list)
    }
}

/// The rule for the names of resources.
pub(crate) fn check_name(name: &str) -> Result<(), ControlError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " -_".contains(c);
    if name.is_empty() || name.len() > 255 || !name.chars().all(allowed) {
        return Err(ControlError::Validation(
            "name takes 1 to 255 letters, digits, blanks, - and _".into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use landfast_base::arn::ArnKind;

    use super::*;

    #[test]
    fn the_lab_remembers_a_bounded_number_of_nodes_and_certificates() {
        let mut state = State::new("111122223333", "us-west-2");
        let pem = std::fs::read("../node/tests/data/pki/rsa-leaf.crt").unwrap();
        let leaf = Certificate::from_pem(&pem).unwrap();
        let start: Timestamp = "2026-09-01T12:00:00Z".parse().unwrap();
        for number in 0..MAX_SUBJECTS {
            state.subjects.push(Subject {
                arn: state.new_arn("subject").unwrap(),
                name: number.to_string(),
                created: start,
                seen: vec![(
                    leaf.clone(),
                    start - SignedDuration::from_secs(1) * i32::try_from(number).unwrap(),
                )],
            });
        }
        let granted = Granted {
            role: Arn::parse_as("arn:aws:iam::111122223333:role/x", ArnKind::Role).unwrap(),
            session_name: "node-1".into(),
            duration: 900,
            expiration: start + SignedDuration::from_mins(15),
            source_identity: "CN=node-1".into(),
            serial: "1".into(),
            tags: Vec::new(),
            leaf,
        };
        state.open(&granted, start).unwrap();
        assert_eq!(state.subjects.len(), MAX_SUBJECTS);
        let last = (MAX_SUBJECTS - 1).to_string();
        assert!(
            state.subjects.iter().all(|one| one.name != last),
            "seen longest ago"
        );
        assert!(state.subjects.iter().any(|one| one.name == "0"));

        let one = state.subjects.last_mut().unwrap();
        let other = std::fs::read("../node/tests/data/pki/rsa-int.crt").unwrap();
        let other = Certificate::from_pem(&other).unwrap();
        one.seen = vec![(other, start); MAX_SEEN];
        state.open(&granted, start).unwrap();
        let seen = &state.subjects.last().unwrap().seen;
        assert_eq!(seen.len(), MAX_SEEN);
        assert_eq!(seen.last().unwrap().0, granted.leaf);
    }
}
