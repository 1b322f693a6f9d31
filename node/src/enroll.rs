//! How a node gets its certificate: the key is made here and stays here, the
//! server signs a request for it, and nothing is written that AWS or the
//! cluster would refuse.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::ext::GeneralNames;
use landfast_pki::{
    Certificate, Csr, KeySpec, KeyType, PrivateKey, Secret, SignatureAlgorithm, Subject,
};
use landfast_rolesanywhere::rules::{self, Finding, Severity};
use landfast_rolesanywhere::tags::Facts;
use landfast_rolesanywhere::trust;
use serde_json::{Value, json};

use crate::crypto::SessionKey;
use crate::files::{FileError, Opened};
use crate::identity::{self, Files};
use crate::key_file;
use crate::pair::{self, Pair, Text};
use crate::reach;
use crate::vault::{Vault, VaultError};

/// What a node asks for.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The engine's mount path.
    pub mount: String,
    /// The role to issue under.
    pub role: String,
    /// The node's name: it becomes the common name.
    pub node_name: String,
    /// The lifetime to ask for; without it the role decides.
    pub ttl: Option<Duration>,
    /// The kind of key to make when there is none to keep. Without it, a new
    /// key is of the kind of the one that it replaces, or P-256.
    pub key: Option<KeySpec>,
    /// Where the pair lies.
    pub pair: Pair,
}

/// When a certificate is due for renewal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Due {
    /// The share of its life after which it is renewed; two thirds is usual.
    pub fraction: f64,
}

impl Default for Due {
    fn default() -> Self {
        Self {
            fraction: 2.0 / 3.0,
        }
    }
}

impl Due {
    /// The moment from which the certificate is due.
    pub fn at(self, certificate: &Certificate) -> Timestamp {
        let life = certificate
            .not_after()
            .duration_since(certificate.not_before());
        let after =
            SignedDuration::from_secs_f64(life.as_secs_f64() * self.fraction.clamp(0.0, 1.0));
        // Certificates know whole seconds, and so do people.
        let after = SignedDuration::from_secs(after.as_secs());
        certificate
            .not_before()
            .checked_add(after)
            .unwrap_or_else(|_| certificate.not_after())
    }
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// The pair in place is good and not due.
    Kept(Certificate),
    /// A new certificate is in place.
    Issued {
        /// The certificate.
        certificate: Certificate,
        /// Whether the key is new as well.
        new_key: bool,
        /// Whether the key's type changed: a running helper must then be restarted.
        key_type_changed: bool,
        /// Rules broken that do not stop the node.
        warnings: Vec<Finding>,
    },
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The name cannot be a node's.
    #[error(
        "{0} is no node name: use 2 to 63 lower-case letters, digits, dots and dashes, as a DNS name has them"
    )]
    NodeName(String),
    /// The server.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Keys and requests.
    #[error("the request could not be made: {0}")]
    Pki(#[from] landfast_pki::Error),
    /// Files.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key in place is of another type than was asked for.
    #[error(
        "{path}: the key in place is {found}, and --key-type asks for {wanted}; give --rotate-key to replace the key, or leave --key-type out to keep it"
    )]
    KeyType {
        /// The key's file.
        path: String,
        /// Its type.
        found: String,
        /// The type that was asked for.
        wanted: String,
    },
    /// The key in place is another user's, who knows it.
    #[error(
        "{path}: the key in place belongs to user {owner}, who knows it, and a certificate for it would be that user's (EE-06); chown it to the user who runs this, or give --rotate-key for a new one"
    )]
    ForeignKey {
        /// The key's file.
        path: String,
        /// Its owner.
        owner: u32,
    },
    /// What the server issued breaks a rule; the pair in place is untouched.
    #[error(
        "the server issued a certificate that AWS or the cluster would refuse ({rule}): {problem}; {remedy}"
    )]
    Unusable {
        /// The rule.
        rule: &'static str,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The certificate is not for the key of the request.
    #[error("the server issued a certificate for another key than the request's")]
    WrongKey,
}

/// Why the pair in place must be replaced, or that it need not be.
#[derive(Debug)]
pub enum Standing {
    /// Good for longer.
    Good(Certificate),
    /// There, but due.
    Due(Certificate),
    /// Not there, or not usable; the text says why.
    Unusable(String),
}

/// The node's name by the certificate in place, if there is one that can be read.
pub fn name_in_place(pair: &Pair) -> Option<String> {
    let (leaf, _) = identity::certificates(&pair.certificate_path()).ok()?;
    Facts::of(&leaf).common_name().map(ToOwned::to_owned)
}

impl Enrolment {
    /// Looks at the pair in place, and refuses what a login should not be spent on: a place that another
    /// user controls, or a key to keep (without `rotate`) that is another user's or of another
    /// type than was asked for.
    ///
    /// # Errors
    /// [`EnrolError::NodeName`], [`EnrolError::File`], [`EnrolError::ForeignKey`],
    /// [`EnrolError::KeyType`].
    pub fn attempt(
        &self,
        due: Due,
        rotate: bool,
        now: Timestamp,
    ) -> Result<Attempt<'_>, EnrolError> {
        if !rules::is_node_name(&self.node_name) {
            return Err(EnrolError::NodeName(self.node_name.clone()));
        }
        self.pair.check()?;
        if !rotate {
            self.own_key()?;
        }
        let (certificate_path, key_path) = (self.pair.certificate_path(), self.pair.key_path());
        let (certificate, key) = pair::read_each(&certificate_path, &key_path);
        let standing = self.judge(&certificate, &key, due, now);
        let former = certificate.ok().and_then(|text| {
            let certificates = identity::certificates_of(&certificate_path, &text);
            Some(certificates.ok()?.0)
        });
        let stays = !rotate && matches!(standing, Standing::Good(_));
        let key = match key {
            // Nobody asks for the key of a pair that stays.
            Ok(_) if stays && self.key.is_none() => None,
            Ok(text) => usable(&key_path, &text),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        if let (false, Some(wanted), Some(key)) = (rotate, self.key, &key) {
            self.same_type(wanted, kind(key))?;
        }
        Ok(Attempt {
            enrolment: self,
            rotate,
            now,
            standing,
            former,
            key,
        })
    }

    /// A key that another user made is not certified: the certificate would be
    /// that user's. One that was given away after it had been made here, to a
    /// service most often, is (EE-06 warns of it).
    fn own_key(&self) -> Result<(), EnrolError> {
        let path = self.pair.key_path();
        let owner = match Opened::open(&path) {
            Ok(opened) => opened.foreign_owner(),
            // Absent, or told when it is read.
            Err(_) => None,
        };
        match owner.filter(|_| !self.pair.is_ours()) {
            None => Ok(()),
            Some(owner) => Err(EnrolError::ForeignKey {
                path: path.display().to_string(),
                owner,
            }),
        }
    }

    fn same_type(&self, wanted: KeySpec, found: KeySpec) -> Result<(), EnrolError> {
        if (wanted.kind, wanted.bits) == (found.kind, found.bits) {
            return Ok(());
        }
        Err(EnrolError::KeyType {
            path: self.pair.key_path().display().to_string(),
            found: type_name(found),
            wanted: type_name(wanted),
        })
    }

    /// How the pair in place stands.
    pub fn standing(&self, due: Due, now: Timestamp) -> Standing {
        let pair = &self.pair;
        let (certificate, key) = pair::read_each(&pair.certificate_path(), &pair.key_path());
        self.judge(&certificate, &key, due, now)
    }

    fn judge(&self, certificate: &Text, key: &Text, due: Due, now: Timestamp) -> Standing {
        let (certificate_path, key_path) = (self.pair.certificate_path(), self.pair.key_path());
        let files = Files::pair(&certificate_path, &key_path);
        let loaded = match (certificate, key) {
            (Ok(certificate), Ok(key)) => identity::load_texts(&files, certificate, key),
            // It has the words for what is not there.
            _ => identity::load(&files),
        };
        let leaf = match loaded {
            Ok((_, leaf)) => leaf,
            Err(error) => return Standing::Unusable(error.to_string()),
        };
        let stops = |finding: &Finding| finding.severity == Severity::Error;
        let broken = rules::dates(&leaf, now)
            .into_iter()
            .chain(self.findings(&leaf))
            .find(stops);
        if let Some(finding) = broken {
            return Standing::Unusable(finding.problem);
        }
        if now >= due.at(&leaf) {
            Standing::Due(leaf)
        } else {
            Standing::Good(leaf)
        }
    }

    fn request(&self, key: &PrivateKey) -> Result<Value, EnrolError> {
        let names = GeneralNames {
            dns: vec![self.node_name.clone()],
            ..GeneralNames::default()
        };
        let algorithm = SignatureAlgorithm::choose(key.public_key(), 0, false)?.algorithm;
        let subject = Subject::common_name(self.node_name.clone()).to_name();
        let csr = Csr::build(subject, &names, &[], algorithm, key)?;
        let mut body = json!({ "csr": csr.pem(), "common_name": self.node_name });
        if let Some(ttl) = self.ttl {
            body["ttl"] = format!("{}s", ttl.as_secs()).into();
        }
        Ok(body)
    }

    /// Checks what came back before anything is written.
    fn accept(
        &self,
        issued: &Issued,
        key: &PrivateKey,
        now: Timestamp,
    ) -> Result<Vec<Finding>, EnrolError> {
        let leaf = &issued.leaf;
        if leaf.public_key() != key.public_key() {
            return Err(EnrolError::WrongKey);
        }
        let path = trust::path(leaf, &issued.chain, &issued.anchors, now);
        let path = path
            .err()
            .map(|error| Finding::error(error.rule(), error.to_string(), error.remedy()));
        let mut found: Vec<Finding> = rules::dates(leaf, now)
            .into_iter()
            .chain(path)
            .chain(self.findings(leaf))
            .collect();
        found.extend(rules::lifetime(leaf, issued.issuer(), Duration::ZERO));
        let (errors, warnings): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|finding| finding.severity == Severity::Error);
        match errors.into_iter().next() {
            Some(finding) => Err(EnrolError::Unusable {
                rule: finding.rule,
                problem: finding.problem,
                remedy: finding.remedy,
            }),
            None => Ok(warnings),
        }
    }

    fn findings(&self, leaf: &Certificate) -> impl Iterator<Item = Finding> + use<> {
        rules::end_entity(leaf)
            .into_iter()
            .chain(rules::node_name(leaf, Some(&self.node_name)))
            .chain(rules::session_tags(leaf))
    }
}

/// One attempt at a certificate: what is in place was read once, and may be replaced.
#[derive(Debug)]
pub struct Attempt<'a> {
    enrolment: &'a Enrolment,
    rotate: bool,
    now: Timestamp,
    standing: Standing,
    /// The certificate in place, whatever its key is.
    former: Option<Certificate>,
    /// The key in place, when there is one that can be kept.
    key: Option<PrivateKey>,
}

impl Attempt<'_> {
    /// How the pair in place stands.
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The certificate in place, if it stays: it is good, not due, and nobody asks for a new key.
    pub const fn kept(&self) -> Option<&Certificate> {
        match &self.standing {
            Standing::Good(certificate) if !self.rotate => Some(certificate),
            _ => None,
        }
    }

    /// Whether the certificate in place has not ended.
    pub(crate) fn former_is_good(&self) -> bool {
        let former = self.former.as_ref();
        former.is_some_and(|leaf| self.now <= leaf.not_after())
    }

    /// Gets a certificate if the one in place is missing, unusable or due.
    ///
    /// The key in place is kept unless a new one was asked for.
    ///
    /// # Errors
    /// [`EnrolError`]; what was in place stays in place.
    pub async fn run(self, vault: &Vault) -> Result<Outcome, EnrolError> {
        if let Some(certificate) = self.kept() {
            return Ok(Outcome::Kept(certificate.clone()));
        }
        let (enrolment, pair) = (self.enrolment, &self.enrolment.pair);
        let former_kind = self.key.as_ref().map(kind);
        // The new files have the right mode and owner: it is now or never.
        let mut told: Vec<Finding> = self.renamed().into_iter().collect();
        if self.key.is_some() && !self.rotate {
            told.extend(reach::key_file(&pair.key_path()));
        }
        let (certificate_path, key_path) = (pair.certificate_path(), pair.key_path());
        told.extend(reach::certificate_file(&certificate_path));
        told.extend(reach::directories(&certificate_path, &key_path));
        let (key, new_key) = match self.key.filter(|_| !self.rotate) {
            Some(key) => (key, false),
            None => {
                let spec = enrolment.key.or(former_kind).unwrap_or(P256);
                (PrivateKey::generate(spec)?, true)
            }
        };
        let path = format!("{}/sign/{}", enrolment.mount, enrolment.role);
        let answer = vault.write(&path, &enrolment.request(&key)?).await?;
        let issued = Issued::read(&answer, &enrolment.mount)?;
        let mut warnings = enrolment.accept(&issued, &key, self.now)?;
        warnings.extend(lease(&answer));
        warnings.extend(said(&answer));
        warnings.extend(told);
        pair.install(&issued.file(), &key_file::to_pem(&key)?)?;
        let key_type_changed = former_kind.is_some_and(|former| former.kind != kind(&key).kind);
        Ok(Outcome::Issued {
            certificate: issued.leaf,
            new_key,
            key_type_changed,
            warnings,
        })
    }

    /// EE-08: a name that replaces another one.
    fn renamed(&self) -> Option<Finding> {
        let node_name = &self.enrolment.node_name;
        let facts = Facts::of(self.former.as_ref()?);
        let former = facts.common_name().filter(|name| name != node_name)?;
        Some(Finding::warning(
            "EE-08",
            format!(
                "the certificate in place was that of {former}, the new one is that of {node_name}"
            ),
            format!("if this machine is still {former}, renew with --node-name {former}"),
        ))
    }
}

/// A key that can be kept. One that signs no session is no use, however good its certificate.
fn usable(path: &Path, text: &Secret<Vec<u8>>) -> Option<PrivateKey> {
    let der = identity::key_of(path, text, None)
        .inspect_err(|error| tracing::warn!(%error, "the key in place can't be kept"))
        .ok()?;
    let usable = SessionKey::from_der(der.expose()).map_err(|error| error.to_string());
    let key = PrivateKey::from_der(der.expose()).map_err(|error| error.to_string());
    usable
        .and(key)
        .inspect_err(|error| {
            tracing::warn!(path = %path.display(), error, "the key in place can't be kept");
        })
        .ok()
}

/// What a node's key is when nobody says otherwise: small, fast, and taken by
/// Roles Anywhere.
const P256: KeySpec = KeySpec {
    kind: KeyType::Ec,
    bits: 256,
};

fn kind(key: &PrivateKey) -> KeySpec {
    let public = key.public_key();
    KeySpec {
        kind: public.key_type(),
        bits: public.bits(),
    }
}

fn type_name(spec: KeySpec) -> String {
    match spec.kind {
        KeyType::Ec => format!("P-{}", spec.bits),
        KeyType::Rsa => format!("RSA {}", spec.bits),
        KeyType::MlDsa => format!("ML-DSA-{}", spec.bits),
        other => format!("{other:?}"),
    }
}

/// A certificate with a lease is revoked when the token that asked for it ends.
///
/// Source: OpenBao pki: roles, `generate_lease`.
fn lease(answer: &Value) -> Option<Finding> {
    let lease = answer["lease_id"].as_str().filter(|id| !id.is_empty());
    lease.map(|_| {
        Finding::warning(
            "EE-11",
            "the certificate has a lease: it is revoked as soon as the token of this login ends",
            "set generate_lease=false on the role and renew",
        )
    })
}

/// What the server warns of itself, such as a lifetime that it cut.
fn said(answer: &Value) -> Vec<Finding> {
    let texts = answer["warnings"].as_array().into_iter().flatten();
    // The name is sent in the request and beside it, for roles that take the one or the other; which of them a role takes
    // is no news.
    let news = |text: &&str| !text.starts_with("the common_name field was provided but the role");
    let texts = texts.filter_map(Value::as_str).filter(news);
    texts
        .map(|text| {
            Finding::warning(
                "SV-01",
                format!("the server says: {text}"),
                "ask for what the role allows, or change the role",
            )
        })
        .collect()
}

/// What the engine answered.
struct Issued {
    leaf: Certificate,
    /// Intermediates, nearest first, each once.
    chain: Vec<Certificate>,
    /// What the path may end in: roots, or the topmost CA that was sent.
    anchors: Vec<Certificate>,
}

impl Issued {
    fn read(answer: &Value, mount: &str) -> Result<Self, EnrolError> {
        let data = &answer["data"];
        let lacks = |missing| VaultError::Answer {
            path: format!("{mount}/sign"),
            missing,
        };
        let certificate = data["certificate"]
            .as_str()
            .ok_or_else(|| lacks("data.certificate"))?;
        let leaf = Certificate::from_pem(certificate.as_bytes())?;
        let mut chain: Vec<Certificate> = Vec::new();
        let listed = data["ca_chain"].as_array().into_iter().flatten();
        for text in listed
            .chain([&data["issuing_ca"]])
            .filter_map(Value::as_str)
        {
            let ca = Certificate::from_pem(text.as_bytes())?;
            if !chain.iter().any(|known| known.der() == ca.der()) {
                chain.push(ca);
            }
        }
        let (mut anchors, mut chain): (Vec<_>, Vec<_>) =
            chain.into_iter().partition(Certificate::is_self_issued);
        if anchors.is_empty() {
            anchors.extend(chain.pop());
            chain.extend(anchors.iter().cloned());
        }
        if anchors.is_empty() {
            return Err(lacks("data.issuing_ca").into());
        }
        Ok(Self {
            leaf,
            chain,
            anchors,
        })
    }

    fn issuer(&self) -> Option<&Certificate> {
        self.chain
            .iter()
            .chain(&self.anchors)
            .find(|ca| ca.subject() == self.leaf.issuer())
    }

    /// Leaf first, intermediates once, no root.
    fn file(&self) -> String {
        std::iter::once(&self.leaf)
            .chain(&self.chain)
            .map(Certificate::pem)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use landfast_pki::pem;

    use super::*;

    fn read(name: &str) -> String {
        std::fs::read_to_string(Path::new("tests/data/pki").join(name)).unwrap()
    }

    fn enrolment(name: &str) -> Enrolment {
        Enrolment {
            mount: "pki".into(),
            role: "hybrid-node".into(),
            node_name: name.into(),
            ttl: None,
            key: None,
            pair: Pair::new(Path::new("x/pem"), Path::new("x/key")).unwrap(),
        }
    }

    /// What is said of the answer that carries this leaf.
    fn judged(
        leaf: &str,
        key: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<Vec<Finding>, EnrolError> {
        let answer = json!({"data": {
            "certificate": read(leaf),
            "issuing_ca": read("rsa-int.crt"),
            "ca_chain": [read("rsa-int.crt"), read("rsa-root.crt")],
        }});
        let issued = Issued::read(&answer, "pki").unwrap();
        assert_eq!(issued.file().matches("BEGIN CERTIFICATE").count(), 2);
        let key = read(key);
        let key = pem::blocks(key.as_bytes()).pop().unwrap();
        let key = PrivateKey::from_der(&key.contents).unwrap();
        enrolment(name).accept(&issued, &key, now)
    }

    const NODE: &str = "hybrid-node-01.example.internal";

    fn now() -> Timestamp {
        "2026-09-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_clock_that_is_wrong_is_named_and_nothing_is_accepted_by_it() {
        let leaf = Certificate::from_pem(read("rsa-leaf.crt").as_bytes()).unwrap();
        assert!(judged("rsa-leaf.crt", "rsa-leaf.key", NODE, now()).is_ok());
        let day = SignedDuration::from_hours(24);
        for wrong in [leaf.not_before() - day, leaf.not_after() + day] {
            let error = judged("rsa-leaf.crt", "rsa-leaf.key", NODE, wrong)
                .unwrap_err()
                .to_string();
            for part in [
                "EE-11".to_owned(),
                "NTP".to_owned(),
                format!("this machine's clock says {wrong:.0}"),
            ] {
                assert!(error.contains(&part), "{part}: {error}");
            }
        }
    }

    #[test]
    fn what_the_server_warns_of_is_told() {
        let cut = "TTL \"1000h\" is longer than permitted maxTTL \"72h\", so maxTTL is being used";
        let found = said(&json!({"warnings": [
            "the common_name field was provided but the role is set with \"use_csr_common_name\" set to true", cut, 5,
        ]}));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].rule, found[0].severity),
            ("SV-01", Severity::Warning)
        );
        assert!(found[0].problem.contains(cut), "{found:?}");
        assert!(said(&json!({"warnings": null})).is_empty());
    }

    #[test]
    fn what_a_server_should_not_have_issued_is_refused() {
        let refusal = |leaf: &str, key: &str, name: &str| {
            judged(leaf, key, name, now()).unwrap_err().to_string()
        };
        assert!(refusal("rsa-leaf.crt", "rsa-leaf.key", "node-1").contains("EE-08"));
        assert!(refusal("rsa-leaf.crt", "ec-leaf.key", NODE).contains("another key"));
        // An EC leaf of a CA that the answer does not show.
        assert!(refusal("ec-leaf.crt", "ec-leaf.key", NODE).contains("CA-09"));
    }
}
