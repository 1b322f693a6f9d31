//! What AWS takes of one account in one Region, at the time of writing.
//!
//! Sources: the IAM Roles Anywhere API model of 2018-05-10 as the SDKs of late 2026 carry it, and "IAM Roles Anywhere
//! quotas" in the AWS general reference. AWS raises some of the quotas on request.

/// Certificates of one trust anchor: a quota.
pub const ANCHOR_CERTIFICATES: usize = 2;
/// Characters of PEM in one trust anchor.
pub const ANCHOR_OCTETS: usize = 204_800;
/// The same in older SDKs.
pub const OLD_ANCHOR_OCTETS: usize = 16_000;
/// Trust anchors: a quota.
pub const ANCHORS: usize = 50;
/// Notification settings of one trust anchor.
pub const ANCHOR_NOTIFICATIONS: usize = 50;

/// Octets of PEM in one CRL.
pub const CRL_OCTETS: usize = 300_000;
/// CRLs of one trust anchor: a quota.
pub const ANCHOR_CRLS: usize = 2;

/// Profiles: a quota.
pub const PROFILES: usize = 250;
/// Roles of one profile.
pub const PROFILE_ROLES: usize = 250;
/// Managed policies of one profile.
pub const PROFILE_POLICIES: usize = 50;
/// Characters of a profile's session policy.
pub const SESSION_POLICY: usize = 100_000;
/// Characters of a rule that maps a field of a certificate.
pub const MAPPING_RULE: usize = 60;
