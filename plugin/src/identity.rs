//! Who is asking, for roles whose names come from the caller's identity.

use landfast_pki::Identity;
use landfast_pki::identity::{Alias, Group};
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

fn mentions(role: &RoleEntry, text: &str) -> bool {
    let domains = role
        .allowed_domains_template
        .then_some(&role.allowed_domains_list);
    let uris = role
        .allowed_uri_sans_template
        .then_some(&role.allowed_uri_sans);
    domains
        .into_iter()
        .chain(uris)
        .flatten()
        .any(|entry| entry.contains(text))
}
