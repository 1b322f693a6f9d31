//! What a role is refused for. Much is accepted that has no effect (unknown usage names, say), as in the built-in engine, because
//! clients that manage roles send it.

use landfast_pki::KeySpec;
use landfast_sdk::logical::Error;

use crate::entry::role::{Network, RoleEntry};
use crate::names;
use crate::role::settings;
use crate::{Mount, fault, issuers};

/// Puts `role` into its final form, or says what is wrong with it. The texts returned are warnings.
pub(super) async fn role(mount: &Mount, role: &mut RoleEntry) -> Result<Vec<String>, Error> {
    if u32::try_from(role.key_bits).is_err() && matches!(role.key_type.as_str(), "rsa" | "ec") {
        KeySpec::parse(&role.key_type, role.key_bits).map_err(fault::refused)?;
    }
    let mut settings = settings(role);
    settings.normalise().map_err(fault::refusal)?;
    if role.key_bits == 0 {
        role.key_bits = settings.key_bits.into();
    }
    let mut warnings = issuer(mount, &role.issuer).await?;
    warnings.extend(settings.unusable_purposes().first().map(|oid| {
        format!(
            "ext_key_usage_oids: {oid} cannot be encoded as an object identifier (the first number is 0, 1 or 2, the second below 40, and none has more than 31 bits), so this role issues nothing until it is taken out"
        )
    }));
    role.cn_validations = settings.cn_validations;
    Ok(warnings)
}

/// The networks of `allowed_ip_sans_cidr`.
pub(super) fn networks(texts: &[String]) -> Result<Vec<Network>, Error> {
    let parse = |text: &String| {
        Network::parse(text).ok_or_else(|| {
            Error::BadRequest(format!(
                "error parsing allowed_ip_sans_cidr: invalid CIDR address: {text}"
            ))
        })
    };
    texts.iter().map(parse).collect()
}

/// A role may name an issuer that does not exist yet; it is told so.
async fn issuer(mount: &Mount, reference: &str) -> Result<Vec<String>, Error> {
    if issuers::find(mount, reference).await?.is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![if reference == names::DEFAULT {
        "Issuing Certificate was set to default, but no default issuing certificate (configurable at /config/issuers) is currently set"
            .to_owned()
    } else {
        format!(
            "Issuing Certificate was set to {reference} but no issuing certificate currently has that name"
        )
    }])
}
