//! Leaf certificates from the values of a request, or from a certification request.
//!
//! [`prepare`] decides everything and signs nothing: names, times and usages are settled, the
//! bytes to sign are built, and [`crate::lint`] looks at them once more before anybody signs.

mod issuer;
mod limits;
mod names;
mod request;
#[cfg(test)]
mod tests;
mod uri;

use jiff::Timestamp;

use crate::ext::{Extension, GeneralNames, KeyUsage, id};
use crate::lint;
use crate::policy::Names;
use crate::profile::{Placement, Profile};
use crate::refusal::Refusal;
use crate::validity::{self, IssuerEnd, Validity};
use crate::{
    Certificate, Csr, Error, PublicKey, SerialNumber, SignatureAlgorithm, Subject, Template,
    Unsigned,
};

pub use crate::refusal::MAX_NAMES;
pub(crate) use issuer::Access;
pub use issuer::{AiaUrls, Issuer};
pub(crate) use limits::within as within_limits;
pub(crate) use names::Collected;
pub use request::{Holder, LeafRequest};
pub use uri::normalise as normalise_uri;
pub(crate) use uri::{has_dot_segments, host as uri_host};

/// Reads the `csr` field of a request. That its maker has the key is checked by [`prepare`].
///
/// # Errors
/// The field is empty, or holds no PEM block or no certification request.
pub fn read_csr(text: &str) -> Result<Csr, Refusal> {
    if text.is_empty() {
        return Err(Refusal::CsrEmpty);
    }
    Csr::from_pem(text.as_bytes()).map_err(|error| match error {
        Error::Pem => Refusal::CsrNoPem,
        Error::Malformed { why, .. } => Refusal::CsrSyntax(why),
        other => Refusal::CsrSyntax(other.to_string()),
    })
}

/// Decides on a leaf certificate and builds the bytes to sign.
///
/// Besides, it returns what the caller should be told.
///
/// # Errors
/// The role, the issuer or RFC 5280 does not allow it; the text is the caller's.
pub fn prepare(
    profile: &Profile,
    issuer: &Issuer,
    request: &LeafRequest<'_>,
    now: Timestamp,
    serial: SerialNumber,
) -> Result<(Unsigned<Certificate>, Vec<String>), Refusal> {
    if let Holder::Csr(csr) = request.holder {
        check_csr_key(profile, csr.public_key())?;
    }
    let names = profile.names(request.identity, request.display_name);
    let mut decided = decide(profile, &names, Some(issuer.end()), request, now)?;
    decided.subject.user_ids = names::user_ids(profile, request)?;
    let (algorithm, warning) = algorithm(profile, issuer, request.holder)?;
    decided.warnings.extend(warning);
    if let Holder::Csr(csr) = request.holder {
        // What was asked for in vain is told before what became of the rest, as by the built-in engine.
        let mut first = Vec::new();
        csr_warnings(profile, request, csr, &mut first);
        first.append(&mut decided.warnings);
        decided.warnings = first;
        // Last, because it costs more than all the rest.
        csr.verify()?;
    }

    let key = request.holder.public_key();
    let (prepared, doubts) = Leaf {
        profile,
        issuer,
        rules: &names,
        key,
        algorithm,
        serial,
    }
    .build(&decided, now)?;
    decided.warnings.extend(doubts);
    Ok((prepared, decided.warnings))
}

/// What a leaf is built of besides what was decided for it.
pub(crate) struct Leaf<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) issuer: &'a Issuer,
    /// The rules on names, for the lint.
    pub(crate) rules: &'a Names<'a>,
    pub(crate) key: &'a PublicKey,
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) serial: SerialNumber,
}

impl Leaf<'_> {
    /// Builds the bytes to sign, and holds them against the rules once more: what is doubtful comes with them.
    pub(crate) fn build(
        self,
        decided: &Decided,
        now: Timestamp,
    ) -> Result<(Unsigned<Certificate>, Vec<String>), Refusal> {
        let Self {
            profile,
            issuer,
            rules,
            key,
            algorithm,
            serial,
        } = self;
        let subject = decided.subject.to_name();
        let critical = subject.is_empty();
        let extensions = leaf_extensions(profile, issuer, key, &decided.names, critical);
        let template = Template {
            serial,
            subject,
            not_before: decided.validity.not_before,
            not_after: decided.validity.not_after,
            public_key: key.clone(),
            extensions,
        };
        let prepared = template.prepare(issuer.certificate.subject(), algorithm)?;
        let found = lint::leaf(prepared.unsigned(), profile, rules, issuer, now);
        Ok((prepared, lint::refuse(found)?))
    }
}

/// What a request comes to before anything is encoded.
pub(crate) struct Decided {
    pub(crate) subject: Subject,
    pub(crate) names: GeneralNames,
    pub(crate) validity: Validity,
    pub(crate) warnings: Vec<String>,
}

/// Names, subject and times, in the order in which the built-in engine looks at them.
pub(crate) fn decide(
    profile: &Profile,
    rules: &Names<'_>,
    issuer: Option<IssuerEnd>,
    request: &LeafRequest<'_>,
    now: Timestamp,
) -> Result<Decided, Refusal> {
    let Collected {
        common_name,
        subject_serial,
        names,
        mut warnings,
    } = names::collect(profile, rules, request)?;
    let fixed_start = request.holder.csr().is_none();
    let mut validity = validity::decide(
        &profile.validity,
        request.asked(),
        request.mount,
        issuer,
        fixed_start,
        now,
    )?;
    warnings.append(&mut validity.warnings);
    let subject = Subject {
        common_name,
        serial_number: subject_serial,
        user_ids: Vec::new(),
        attributes: profile.settings().attributes.distinct(),
    };
    Ok(Decided {
        subject,
        names,
        validity,
        warnings,
    })
}

/// The extensions in the order of the built-in engine; the SAN goes behind the rest if it holds
/// other names, as there.
fn leaf_extensions(
    profile: &Profile,
    issuer: &Issuer,
    key: &PublicKey,
    names: &GeneralNames,
    critical: bool,
) -> Vec<Extension> {
    let mut list = Vec::with_capacity(11);
    list.extend(profile.head_for(key));
    list.push(Extension::subject_key_id(&key.ski()));
    tail(&mut list, &issuer.access, profile, names, critical, None);
    say_no_ca(&mut list);
    list
}

/// Lets a leaf whose key usage has keyCertSign say that it is no CA's: OpenSSL takes one that leaves it open for a CA's.
pub(crate) fn say_no_ca(list: &mut Vec<Extension>) {
    let signs = |one: &Extension| {
        one.oid == id::KEY_USAGE
            && KeyUsage::from_der(&one.value).is_ok_and(|usage| usage.contains(KeyUsage::CERT_SIGN))
    };
    if list.iter().any(signs) && list.iter().all(|one| one.oid != id::BASIC_CONSTRAINTS) {
        let before = |one: &Extension| one.oid == id::SUBJECT_KEY_ID;
        let place = list.iter().position(before).unwrap_or(list.len());
        list.insert(place, Extension::basic_constraints(false, None));
    }
}

/// What follows the subject key identifier in every certificate.
pub(crate) fn tail(
    list: &mut Vec<Extension>,
    access: &Access,
    profile: &Profile,
    names: &GeneralNames,
    critical: bool,
    constraints: Option<Extension>,
) {
    let mut san = (!names.is_empty()).then(|| Extension::subject_alt_name(names, critical));
    let policies = |place| {
        profile
            .policies
            .as_ref()
            .filter(|(_, placement)| *placement == place)
            .map(|(extension, _)| extension.clone())
    };
    list.extend(access.authority_key_id.clone());
    list.extend(access.information.clone());
    if names.other.is_empty() {
        list.extend(san.take());
    }
    list.extend(policies(Placement::AfterNames));
    list.extend(constraints);
    list.extend(access.crl_points.clone());
    list.extend(san);
    list.extend(policies(Placement::Last));
    list.extend(access.freshest_crl.clone());
}

/// How the issuer signs.
pub(crate) fn algorithm(
    profile: &Profile,
    issuer: &Issuer,
    holder: Holder<'_>,
) -> Result<(SignatureAlgorithm, Option<String>), Refusal> {
    let settings = profile.settings();
    let key = issuer.certificate.public_key();
    // On an EC issuer, `issue` ignores `signature_bits` without a word.
    let is_ec = key.key_type() == crate::KeyType::Ec;
    let bits = match (holder, u32::try_from(settings.signature_bits)) {
        (Holder::Key(_), _) if is_ec => 0,
        // A role may hold any number; what names no hash means the default.
        (_, Ok(bits @ (256 | 384 | 512))) => bits,
        _ => 0,
    };
    let chosen = SignatureAlgorithm::choose(key, bits, settings.use_pss)?;
    Ok((chosen.algorithm, chosen.warning))
}

/// Whether the key in a CSR is one that the role certifies.
pub(crate) fn check_csr_key(profile: &Profile, key: &PublicKey) -> Result<(), Refusal> {
    use crate::KeyType;

    let settings = profile.settings();
    let actual = key.bits();
    if key.key_type() == KeyType::Rsa && actual > MAX_RSA {
        return Err(Refusal::CsrKeyTooLong(actual));
    }
    let minimum = match (settings.key_type.as_str(), key.key_type()) {
        ("any", KeyType::Rsa) if actual < MIN_RSA => return Err(Refusal::WeakRsa),
        ("any", KeyType::Rsa | KeyType::Ec | KeyType::Ed25519 | KeyType::MlDsa) => 0,
        ("rsa", KeyType::Rsa) | ("ec", KeyType::Ec) | ("mldsa", KeyType::MlDsa) => {
            settings.key_bits()
        }
        ("ed25519", KeyType::Ed25519) => 0,
        ("any", KeyType::Other) => {
            return Err(Refusal::CsrSyntax(
                "the public key is of an unsupported type".into(),
            ));
        }
        (wanted, _) => return Err(Refusal::CsrKeyType(wanted.to_owned())),
    };
    let floor = if key.key_type() == KeyType::Rsa {
        MIN_RSA
    } else {
        0
    };
    let required = minimum.max(floor);
    if actual < required {
        return Err(Refusal::CsrKeyBits { required, actual });
    }
    Ok(())
}

pub(crate) fn csr_warnings(
    profile: &Profile,
    request: &LeafRequest<'_>,
    csr: &Csr,
    warnings: &mut Vec<String>,
) {
    let settings = profile.settings();
    if settings.use_csr_common_name && !request.common_name.is_empty() {
        warnings.push(CN_IGNORED.to_owned());
    }
    if settings.use_csr_sans && !request.alt_names.is_empty() {
        warnings.push(ALT_NAMES_IGNORED.to_owned());
    }
    if !settings.basic_constraints_valid_for_non_ca && has_basic_constraints(csr) {
        warnings.push(BASIC_CONSTRAINTS_IGNORED.to_owned());
    }
}

pub(crate) fn has_basic_constraints(csr: &Csr) -> bool {
    csr.extensions()
        .iter()
        .any(|one| one.oid == crate::ext::id::BASIC_CONSTRAINTS)
}

const MIN_RSA: u32 = 2048;
/// What the cryptography library verifies a signature of.
const MAX_RSA: u32 = 8192;
pub(crate) const CN_IGNORED: &str = "the common_name field was provided but the role is set with \"use_csr_common_name\" set to true";
pub(crate) const ALT_NAMES_IGNORED: &str =
    "the alt_names field was provided but the role is set with \"use_csr_sans\" set to true";
const BASIC_CONSTRAINTS_IGNORED: &str =
    "specified CSR contained a Basic Constraints extension that was ignored during issuance";
