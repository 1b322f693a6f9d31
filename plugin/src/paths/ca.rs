//! Fields and answers that the requests for CA certificates share.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use landfast_pki::authority::CaRequest;
use landfast_pki::{Attributes, KeySpec, PrivateKey};
use landfast_sdk::logical::{CommaList, Error, Ttl};

use crate::ca_key::CaKey;
use crate::keys;
use crate::mount::Shared;
use crate::paths::answer::Encoding;
use crate::{Mount, fault, kms};

/// What becomes of the key.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Exported {
    /// What becomes of the key: `internal` keeps it here, `exported` also shows it once, `existing` takes one that is here, `kms` takes one
    /// that AWS KMS keeps.
    #[schemars(extend("enum" = ["internal", "exported", "existing", "kms"]))]
    pub(crate) exported: String,
}

/// The name of a CA.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct SubjectFields {
    /// Common name. It also becomes a subject alternative name where it is a host name or a mail address.
    common_name: String,
    /// Host names and mail addresses for the subject alternative names, separated by commas.
    alt_names: String,
    /// IP addresses for the subject alternative names.
    ip_sans: CommaList,
    /// URIs for the subject alternative names.
    uri_sans: CommaList,
    /// Other names for the subject alternative names, each `OID;UTF8:value`.
    other_sans: CommaList,
    /// Organizational units.
    ou: CommaList,
    /// Organizations.
    organization: CommaList,
    /// Countries.
    country: CommaList,
    /// Localities.
    locality: CommaList,
    /// Provinces or states.
    province: CommaList,
    /// Street addresses.
    street_address: CommaList,
    /// Postal codes.
    postal_code: CommaList,
    /// Serial number of the subject; not that of the certificate, which is random.
    serial_number: String,
    /// Keep the common name out of the subject alternative names.
    #[schemars(extend("default" = false))]
    exclude_cn_from_sans: bool,
}

/// How long a CA certificate is valid.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ValidityFields {
    /// Lifetime. Without it the certificate lives as long as the mount's default lease, which is usually too short for a CA.
    ttl: Ttl,
    /// Taken for compatibility; a CA certificate starts `not_before_duration` ago.
    not_before: Option<String>,
    /// End of validity, RFC 3339; instead of a lifetime.
    pub(crate) not_after: Option<String>,
    /// How far before the time of issue validity starts.
    #[schemars(extend("default" = 30))]
    not_before_duration: Option<Ttl>,
}

/// How an answer is encoded.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct FormFields {
    /// Encoding of the answer: `pem`, `der` (as base64), or `pem_bundle` (key and certificate in one text).
    #[schemars(extend("default" = "pem", "enum" = ["pem", "der", "pem_bundle"]))]
    format: String,
    /// Encoding of the private key: `pkcs8`, or the usual one of its type.
    #[schemars(extend("default" = "der", "enum" = ["", "der", "pem", "pkcs8"]))]
    private_key_format: String,
}

/// The key of a CA.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct KeyFields {
    /// Type of the key.
    #[schemars(extend("default" = "rsa", "enum" = ["rsa", "ec", "ed25519", "mldsa"]))]
    key_type: Option<String>,
    /// Size of the key; 0 for the usual size of the type.
    #[schemars(extend("default" = 0))]
    key_bits: Option<i64>,
    /// Size of the signature's hash, for an RSA key: 256, 384 or 512; 0 for 256.
    #[schemars(extend("default" = 0))]
    signature_bits: i64,
    /// Sign with RSA-PSS, for an RSA key.
    #[schemars(extend("default" = false))]
    use_pss: bool,
    /// Name of the key.
    pub(crate) key_name: Option<String>,
    /// The key to take, for `existing`: an id, a name, or `default`.
    #[serde(deserialize_with = "crate::names::reference")]
    #[schemars(extend("default" = "default"))]
    key_ref: String,
    /// Reference of a key that the server keeps. This plugin cannot use such keys.
    external_key_ref: Option<String>,
    #[serde(flatten)]
    kms: KmsFields,
}

/// The key of AWS KMS to take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct KmsFields {
    /// The key in AWS KMS, for `kms`: a key id, a key ARN, `alias/NAME` or an alias ARN. Of an alias the key is taken that it means now.
    kms_key_id: Option<String>,
    /// Region of the key, where it is not that of `config/kms` and `kms_key_id` is no ARN.
    kms_region: Option<String>,
}

/// What a CA certificate permits.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct PowerFields {
    /// How many CAs may follow below; -1 for any number.
    #[schemars(extend("default" = -1))]
    max_path_length: Option<i64>,
    /// Domains outside of which no certificate below is valid.
    permitted_dns_domains: CommaList,
    /// Only `DigitalSignature` counts; signing certificates and CRLs is always permitted.
    #[schemars(extend("default" = ["DigitalSignature", "KeyAgreement", "KeyEncipherment"]))]
    key_usage: CommaList,
    /// Extended key usages by name.
    #[schemars(extend("default" = []))]
    ext_key_usage: CommaList,
    /// Extended key usages by OID.
    ext_key_usage_oids: CommaList,
}

/// Which key a request means: its fields fit together.
pub(crate) enum Choice {
    /// A new one, which the answer shows or not.
    New { spec: KeySpec, shown: bool },
    /// `key_type=any`, which is no type.
    Any,
    /// One that is here.
    Existing(CaKey),
    /// One that AWS KMS keeps.
    Kms,
}

/// Where a CA's key comes from, and whether it is shown.
pub(crate) struct Source {
    /// The key.
    pub(crate) key: CaKey,
    /// The private half, where the answer holds it.
    pub(crate) shown: Option<Arc<PrivateKey>>,
    /// Whether the request is refused for its key once the rest of it was looked at.
    refused: bool,
}

impl Source {
    /// Refuses `key_type=any`, which the built-in engine looks at last.
    ///
    /// # Errors
    /// The request named that.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.refused {
            return Err(Error::bad_request(ANY_IS_NO_TYPE));
        }
        Ok(())
    }
}

impl Default for FormFields {
    fn default() -> Self {
        Self {
            format: "pem".to_owned(),
            private_key_format: "der".to_owned(),
        }
    }
}

impl Default for KeyFields {
    fn default() -> Self {
        Self {
            key_type: None,
            key_bits: None,
            signature_bits: 0,
            use_pss: false,
            key_name: None,
            key_ref: crate::names::DEFAULT.to_owned(),
            external_key_ref: None,
            kms: KmsFields::default(),
        }
    }
}

impl FormFields {
    /// The encoding asked for.
    ///
    /// # Errors
    /// For an unknown `format`.
    pub(crate) fn encoding(&self) -> Result<Encoding, Error> {
        Encoding::parse(&self.format, &self.private_key_format, false)
    }
}

impl KmsFields {
    /// Takes the key in AWS KMS that the fields name.
    ///
    /// # Errors
    /// 400 when they name none that can be used, or `external` a key of the server; else as for signing.
    pub(crate) async fn adopt(
        &self,
        mount: &Mount,
        external: Option<&str>,
    ) -> Result<CaKey, Error> {
        if external.is_some() {
            return Err(Error::bad_request(
                "\"external_key_ref\" names a key in the server's own store, which no plugin can use: give \"kms_key_id\", the id, ARN or alias of a key in AWS KMS",
            ));
        }
        let name = self.kms_key_id.as_deref().map(str::trim);
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err(Error::bad_request(
                "must specify \"kms_key_id\" on \"kms\"-typed generation requests: the id, ARN or alias of a key in AWS KMS",
            ));
        };
        kms::adopt(mount, name, self.kms_region.as_deref())
            .await
            .map(CaKey::from)
    }

    /// Refuses the fields on a request for a key that is elsewhere.
    ///
    /// # Errors
    /// 400 when one was sent.
    pub(crate) fn refuse(&self, exported: &str) -> Result<(), Error> {
        for (name, value) in [
            ("kms_key_id", &self.kms_key_id),
            ("kms_region", &self.kms_region),
        ] {
            if value.as_deref().is_some_and(|value| !value.is_empty()) {
                return Err(Error::bad_request(format!(
                    "cannot specify \"{name}\" on \"{exported}\"-typed generation requests"
                )));
            }
        }
        Ok(())
    }
}

impl KeyFields {
    /// Looks at the word in the path and at the fields for key and encoding, in the built-in engine's order.
    ///
    /// # Errors
    /// They do not fit together, or there is no such key.
    pub(crate) async fn choose(
        &self,
        mount: &Mount,
        exported: &str,
        form: &FormFields,
    ) -> Result<(Choice, Encoding), Error> {
        if !matches!(exported, "internal" | "exported" | "existing" | "kms") {
            return Err(Error::bad_request(BAD_EXPORTED));
        }
        if exported != "kms" {
            if self.external().is_some() {
                return Err(Error::bad_request(format!(
                    "cannot specify \"external_key_ref\" on \"{exported}\"-typed generation requests"
                )));
            }
            self.kms.refuse(exported)?;
        }
        let encoding = form.encoding()?;
        let new = matches!(exported, "internal" | "exported");
        if !new && (self.key_type.is_some() || self.key_bits.is_some()) {
            return Err(Error::bad_request(
                "invalid parameter for the kms/existing path parameter, key_type nor key_bits arguments can be set in this mode",
            ));
        }
        let choice = match (exported, self.key_type.as_deref().unwrap_or("rsa")) {
            ("existing", _) => Choice::Existing(self.existing(mount).await?),
            ("kms", _) => Choice::Kms,
            (_, "any") => Choice::Any,
            (_, kind) => Choice::New {
                spec: KeySpec::parse(kind, self.key_bits.unwrap_or(0)).map_err(fault::refused)?,
                shown: exported == "exported",
            },
        };
        Ok((choice, encoding))
    }

    /// Makes or fetches the key.
    ///
    /// # Errors
    /// AWS KMS has no such key, or the cryptography library fails.
    pub(crate) async fn source(&self, mount: &Shared, choice: Choice) -> Result<Source, Error> {
        let refused = matches!(choice, Choice::Any);
        let (key, shown) = match choice {
            Choice::New { spec, shown } => {
                let key = Arc::new(mount.generate_key(spec).await?);
                let shown = shown.then(|| Arc::clone(&key));
                (CaKey::from(key), shown)
            }
            Choice::Any => {
                // Never used: the rest of the request is looked at with it.
                let spec = KeySpec::parse("ec", 0).map_err(fault::refused)?;
                (CaKey::from(mount.generate_key(spec).await?), None)
            }
            Choice::Existing(key) => (key, None),
            Choice::Kms => (self.kms.adopt(mount, self.external()).await?, None),
        };
        Ok(Source {
            key,
            shown,
            refused,
        })
    }

    fn external(&self) -> Option<&str> {
        let reference = self.external_key_ref.as_deref();
        reference.filter(|reference| !reference.is_empty())
    }

    /// The key's name, trimmed; `None` when none was sent.
    pub(crate) fn name(&self) -> Option<&str> {
        self.key_name.as_deref().map(str::trim)
    }

    async fn existing(&self, mount: &Mount) -> Result<CaKey, Error> {
        if self.key_ref.is_empty() {
            return Err(Error::bad_request(
                "failed to lookup public key from existing key: missing argument key_ref for existing type",
            ));
        }
        let found = match keys::load(mount, &self.key_ref).await {
            _ if self.key_ref.is_empty() => Err(Error::Failed(
                "missing argument key_ref for existing type".to_owned(),
            )),
            Ok(key) => key.signer(mount).await,
            Err(error) => Err(error),
        };
        found.map_err(|error| match error {
            Error::Failed(text) => Error::bad_request(format!(
                "failed to lookup public key from existing key: {text}"
            )),
            other => other,
        })
    }
}

/// A size that cannot be one (the API takes any number) becomes a size that no hash has.
pub(crate) fn signature_bits(sent: i64) -> u32 {
    u32::try_from(sent).unwrap_or(u32::MAX)
}

/// The request to the rules that the groups of fields make up.
pub(crate) fn request(
    mount: &Mount,
    subject: SubjectFields,
    validity: ValidityFields,
    key: Option<&KeyFields>,
    power: PowerFields,
) -> CaRequest {
    CaRequest {
        common_name: subject.common_name,
        alt_names: subject.alt_names,
        ip_sans: subject.ip_sans.0,
        uri_sans: subject.uri_sans.0,
        other_sans: subject.other_sans.0,
        serial_number: subject.serial_number,
        exclude_cn_from_sans: subject.exclude_cn_from_sans,
        attributes: Attributes {
            ou: subject.ou.0,
            organization: subject.organization.0,
            country: subject.country.0,
            locality: subject.locality.0,
            province: subject.province.0,
            street_address: subject.street_address.0,
            postal_code: subject.postal_code.0,
        },
        ttl: validity.ttl.0,
        not_before: mount
            .named_time(validity.not_before.as_deref())
            .map(str::to_owned),
        not_after: mount
            .named_time(validity.not_after.as_deref())
            .map(str::to_owned),
        not_before_duration: validity.not_before_duration.unwrap_or_default().0,
        signature_bits: key.map_or(0, |key| signature_bits(key.signature_bits)),
        use_pss: key.is_some_and(|key| key.use_pss),
        max_path_length: power.max_path_length,
        permitted_dns_domains: power.permitted_dns_domains.0,
        key_usage: power.key_usage.0,
        ext_key_usage: power.ext_key_usage.0,
        ext_key_usage_oids: power.ext_key_usage_oids.0,
    }
}

/// What is said to a word in the path that is none. The missing quote is the built-in engine's.
const BAD_EXPORTED: &str =
    "the \"exported\" path parameter must be \"internal\", \"existing\", exported\" or \"kms\"";

/// What is said where a key must be made and the request says `any`.
pub(crate) const ANY_IS_NO_TYPE: &str = "unknown key type: any";
