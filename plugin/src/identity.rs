//! Who is asking, for roles whose names come from the caller's identity.

use landfast_pki::identity::{Alias, Group};
use landfast_pki::{Identity, Refusal};
use landfast_sdk::logical::{Cx, Error};

use crate::Mount;
use crate::entry::role::RoleEntry;

/// What the host knows of the caller, as far as the templates of `role` need it: nothing for a role without templates, so that a
/// warm request asks the host nothing.
///
/// # Errors
/// When the host does not answer; a role whose templates cannot be filled must not fall back to anything.
pub(crate) async fn of(
    mount: &Mount,
    cx: &Cx,
    role: &RoleEntry,
) -> Result<Option<Identity>, Error> {
    if cx.entity_id.is_empty() || !mentions(role, "{{") {
        return Ok(None);
    }
    let Some(entity) = mount.system().entity(&cx.entity_id).await? else {
        return Ok(None);
    };
    if entity.disabled {
        return Ok(None);
    }
    let groups = if mentions(role, "identity.groups.") {
        mount.system().groups(&cx.entity_id).await?
    } else {
        Vec::new()
    };
    Ok(Some(Identity {
        id: entity.id,
        name: entity.name,
        metadata: entity.metadata,
        aliases: entity
            .aliases
            .into_iter()
            .map(|alias| Alias {
                accessor: alias.mount_accessor,
                id: alias.id,
                name: alias.name,
                metadata: alias.metadata,
                custom_metadata: alias.custom_metadata,
            })
            .collect(),
        groups: groups
            .into_iter()
            .map(|group| Group {
                id: group.id,
                name: group.name,
                metadata: group.metadata,
            })
            .collect(),
    }))
}

/// A refusal as an answer. It says so when the role was made where a `*` in a value of the caller's identity was a pattern.
pub(crate) fn explain(
    mount: &Mount,
    role: &RoleEntry,
    identity: Option<&Identity>,
    refusal: Refusal,
) -> Error {
    match mount.refuse(refusal) {
        Error::BadRequest(text) if role.globs_unsaid && identity.is_some_and(has_star) => {
            Error::BadRequest(format!(
                "{text}; a value of the caller's identity holds `*`, and this role, which another server stored, does not say that it is a pattern: set allow_globs_in_identity_templates where it is to be one"
            ))
        }
        other => other,
    }
}

fn has_star(identity: &Identity) -> bool {
    let aliases = identity.aliases.iter().flat_map(|alias| {
        let metadata = alias
            .metadata
            .values()
            .chain(alias.custom_metadata.values());
        metadata.chain([&alias.name])
    });
    let groups = identity
        .groups
        .iter()
        .flat_map(|group| group.metadata.values().chain([&group.name]));
    let own = identity.metadata.values().chain([&identity.name]);
    own.chain(aliases)
        .chain(groups)
        .any(|value| value.contains('*'))
}

fn mentions(role: &RoleEntry, text: &str) -> bool {
    let role = &role.settings;
    let domains = role
        .allowed_domains_template
        .then_some(&role.allowed_domains);
    let uris = role
        .allowed_uri_sans_template
        .then_some(&role.allowed_uri_sans);
    domains
        .into_iter()
        .chain(uris)
        .flatten()
        .any(|entry| entry.contains(text))
}
