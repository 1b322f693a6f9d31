//! What a role is refused for. Much is accepted that has no effect (unknown usage names, say), as in the built-in engine, because
//! clients that manage roles send it.

use landfast_pki::Settings;
use landfast_sdk::logical::Error;

use crate::{Mount, fault, issuers, names};

/// Puts `role` into its final form, or says what is wrong with it. The texts returned are warnings.
pub(super) async fn role(mount: &Mount, role: &mut Settings) -> Result<Vec<String>, Error> {
    role.normalise().map_err(fault::refusal)?;
    let mut warnings = issuer(mount, &role.issuer).await?;
    warnings.extend(role.unusable_purposes().first().map(|oid| {
        format!(
            "ext_key_usage_oids: {oid} cannot be encoded as an object identifier (the first number is 0, 1 or 2, the second below 40, and none has more than 31 bits), so this role issues nothing until it is taken out"
        )
    }));
    Ok(warnings)
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
