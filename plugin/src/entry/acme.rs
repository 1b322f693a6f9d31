//! `acme/…`: accounts, orders, authorizations, validations under way and external accounts, as the built-in engine stores them; and the settings of the
//! ACME server that the built-in one has not.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use landfast_acme::ChallengeType;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use landfast_base::Secret;

use super::issuer::null_is_empty;
use super::other::Other;
use super::revoked::{from_base64, to_base64};
use super::time::StoredTime;

/// `acme/accounts/KID`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AccountEntry {
    /// How it stands.
    pub status: AccountStatus,
    /// URLs by which its holder is reached.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub contact: Vec<String>,
    /// Whether its holder agreed to terms.
    #[serde(default)]
    pub terms_of_service_agreed: bool,
    /// The public key as JSON (RFC 7517), in base64.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub jwk: Vec<u8>,
    /// The directory that the account belongs to, such as `roles/web/acme/`.
    #[serde(default)]
    pub acme_directory: String,
    /// When it was made.
    #[serde(default)]
    pub account_created_date: StoredTime,
    /// The latest end of its orders or certificates, as tidying found it.
    #[serde(default, rename = "account-max-cert-expiry")]
    pub max_cert_expiry: StoredTime,
    /// When it was deactivated or revoked.
    #[serde(default)]
    pub account_revoked_date: StoredTime,
    /// The external account that it is bound to.
    #[serde(default)]
    pub eab: Option<BoundEntry>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// The external account that an account is bound to. Its key, which the built-in engine keeps and nobody needs any more, is not written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BoundEntry {
    /// `hs`: a key for HMAC with SHA-2.
    pub key_type: String,
    /// The directory that it was for.
    #[serde(default)]
    pub acme_directory: String,
    /// When it was made.
    #[serde(default)]
    pub created_on: StoredTime,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// How an account stands (RFC 8555 section 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// In use.
    Valid,
    /// Given up by its holder.
    Deactivated,
    /// Given up by the server.
    Revoked,
}

/// `acme/account-thumbprints/THUMBPRINT`: which account has a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ThumbprintEntry {
    /// The account's id.
    pub kid: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// `acme/accounts/KID/orders/ID`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OrderEntry {
    /// Whose it is.
    pub account_id: String,
    /// How it stood when it was last written; see `acme::orders` for how it stands.
    pub status: OrderStatus,
    /// Until when it can be finalized.
    #[serde(default)]
    pub expires: StoredTime,
    /// The names.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub identifiers: Vec<StoredIdentifier>,
    /// Ids of the authorizations, one a name.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub authorization_ids: Vec<String>,
    /// Serial number of the certificate, with dashes; empty before there is one.
    #[serde(default)]
    pub cert_serial_number: String,
    /// Its end.
    #[serde(default)]
    pub cert_expiry: StoredTime,
    /// Id of the issuer that signed it.
    #[serde(default)]
    pub issuer_id: String,
    /// The profile that was asked for: a role. Ours.
    #[serde(
        default,
        rename = "landfast-profile",
        skip_serializing_if = "String::is_empty"
    )]
    pub profile: String,
    /// The certificate that this one replaces, as RFC 9773 names it. Ours.
    #[serde(
        default,
        rename = "landfast-replaces",
        skip_serializing_if = "String::is_empty"
    )]
    pub replaces: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// How an order stands (RFC 8555 section 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Names are still to be validated.
    Pending,
    /// Its certificate is being made.
    Processing,
    /// Its certificate is there.
    Valid,
    /// Nothing comes of it.
    Invalid,
    /// All names are validated.
    Ready,
}

/// A name as orders and authorizations have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredIdentifier {
    /// `dns` or `ip`.
    #[serde(rename = "type")]
    pub kind: IdentifierKind,
    /// Without `*.`.
    pub value: String,
    /// As it was asked for.
    pub original_value: String,
    /// Whether it began with `*.`.
    #[serde(default)]
    pub is_wildcard: bool,
    /// Whether it is an IPv6 address.
    #[serde(default)]
    pub is_ipv6: bool,
}

/// The type of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentifierKind {
    /// A DNS name (RFC 8555 section 9.7.7).
    Dns,
    /// An IP address (RFC 8738).
    Ip,
}

/// `acme/accounts/KID/authorizations/ID`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationEntry {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account_id: String,
    /// The name.
    pub identifier: StoredIdentifier,
    /// How it stands.
    pub status: AuthorizationStatus,
    /// Until when it is valid, RFC 3339; empty before it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expires: String,
    /// The ways to show control of the name.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub challenges: Vec<ChallengeEntry>,
    /// Whether the name began with `*.`.
    #[serde(default)]
    pub wildcard: bool,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// How an authorization stands (RFC 8555 section 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationStatus {
    /// Control of the name is still to be shown.
    Pending,
    /// It was shown.
    Valid,
    /// It could not be shown.
    Invalid,
    /// Given up by the client.
    Deactivated,
    /// Too old.
    Expired,
    /// Given up by the server.
    Revoked,
}

/// One way to show control of a name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChallengeEntry {
    /// Which.
    #[serde(rename = "type")]
    pub kind: ChallengeType,
    /// How it stands.
    pub status: ChallengeStatus,
    /// When it succeeded, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub validated: String,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Map<String, Value>>,
    /// Its token.
    pub challenge_fields: ChallengeFields,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// What a challenge has besides its status.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChallengeFields {
    /// The random text that the client publishes with the thumbprint of its key.
    pub token: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// How a challenge stands (RFC 8555 section 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeStatus {
    /// The client has not said that it is ready.
    Pending,
    /// Being validated.
    Processing,
    /// Validated.
    Valid,
    /// Failed.
    Invalid,
}

/// `acme/validations/AUTHORIZATION-TYPE`: a challenge to be validated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValidationEntry {
    /// Whose it is.
    pub account: String,
    /// The authorization.
    pub authorization: String,
    /// Which of its challenges.
    pub challenge_type: ChallengeType,
    /// The challenge's token.
    pub token: String,
    /// Thumbprint of the account's key at that time.
    pub thumbprint: String,
    /// When the client was ready.
    #[serde(default)]
    pub initiated: StoredTime,
    /// When it was first tried.
    #[serde(default)]
    pub first_validation: StoredTime,
    /// How often it failed.
    #[serde(default)]
    pub retry_count: u32,
    /// When it last failed.
    #[serde(default)]
    pub last_retry: StoredTime,
    /// Not to be tried before.
    #[serde(default)]
    pub retry_after: StoredTime,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// `acme/accounts/KID/certs/SERIAL`: the account that a certificate was made for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrackedEntry {
    /// The order.
    pub order: String,
    /// The order whose certificate replaces this one (RFC 9773 section 5). Ours.
    #[serde(
        default,
        rename = "landfast-replaced-by",
        skip_serializing_if = "String::is_empty"
    )]
    pub replaced_by: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// `acme/eab/ID`: an external account that no ACME account was bound to yet.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EabEntry {
    /// `hs`: a key for HMAC with SHA-2.
    pub key_type: String,
    /// The key, in base64.
    #[serde(
        serialize_with = "secret_to_base64",
        deserialize_with = "secret_from_base64"
    )]
    pub private_bytes: Secret<Vec<u8>>,
    /// The directory that it is for.
    #[serde(default)]
    pub acme_directory: String,
    /// When it was made.
    #[serde(default)]
    pub created_on: StoredTime,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// `landfast/config/acme-validation`: where validation may connect to. The built-in engine looks at nothing below `landfast/`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValidationConfig {
    /// As [`landfast_acme::Networks`] reads them.
    pub networks: Vec<String>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            networks: vec!["public".to_owned()],
            other: Other::default(),
        }
    }
}

impl ValidationConfig {
    /// Storage key.
    pub const KEY: &str = "landfast/config/acme-validation";
}

fn secret_to_base64<S: Serializer>(
    key: &Secret<Vec<u8>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Zeroizing::new(STANDARD.encode(key.expose())))
}

fn secret_from_base64<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Secret<Vec<u8>>, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    let bytes = STANDARD.decode(&*text).map_err(serde::de::Error::custom)?;
    Ok(Secret::new(bytes))
}
