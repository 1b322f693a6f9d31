//! What instance metadata says of the machine: enough for clients that look there for
//! their Region, and nothing that would be made up.
//!
//! Source: Amazon EC2 user guide, "Instance metadata categories" and "Instance identity
//! documents".

use serde::Serialize;

/// The machine, as its clients are to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The Region of the trust anchor.
    pub region: String,
    /// The account of the role.
    pub account: String,
    /// The node's name: there is no instance of EC2 that could have an id.
    pub id: String,
}

/// The members that SDKs and agents read. Nobody has signed it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    account_id: &'a str,
    architecture: &'static str,
    availability_zone: String,
    instance_id: &'a str,
    region: &'a str,
    version: &'static str,
}

impl Instance {
    /// A zone of the Region: some clients cut its last letter off to learn the Region.
    pub(super) fn zone(&self) -> String {
        format!("{}a", self.region)
    }

    pub(super) fn document(&self) -> Document<'_> {
        Document {
            account_id: &self.account,
            architecture: match std::env::consts::ARCH {
                "aarch64" => "arm64",
                other => other,
            },
            availability_zone: self.zone(),
            instance_id: &self.id,
            region: &self.region,
            version: "2017-09-30",
        }
    }
}
