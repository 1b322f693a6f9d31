//! `roles/NAME`: the roles that certificates are made by.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use landfast_pki::Settings;
use landfast_sdk::logical::{Cx, Error, Page, Response, StorageError};

use crate::Mount;
use crate::entry::role::{self, ROWS, RoleEntry};
use crate::mount::Shared;
use crate::role::Role;

mod check;
mod preset;
mod sent;

use preset::PresetRequest;
pub(crate) use preset::moved;
use sent::Sent;

/// Which role.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RoleName {
    /// Name of the role.
    name: String,
}

/// Which role to write, beside what it is told.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Written {
    /// Name of the role.
    name: String,
    /// Taken for compatibility and not used.
    #[expect(dead_code, reason = "clients of old send it")]
    backend: Option<String>,
}

/// `LIST roles`.
pub(crate) async fn list(mount: Shared, _cx: Cx, page: Page) -> Result<Response, Error> {
    Ok(Response::list(
        mount
            .storage()
            .list_page(role::PREFIX, &page.after, page.limit())
            .await?,
    ))
}

/// `GET roles/NAME`.
pub(crate) async fn read(mount: Shared, _cx: Cx, request: RoleName) -> Result<Response, Error> {
    let key = RoleEntry::key(&request.name);
    let Some(role) = mount.load_stored::<Role>(&key).await? else {
        return Ok(Response::none());
    };
    if role.entry.is_former {
        bring_up_to_date(&mount, key, &role.entry).await;
    }
    Ok(Response::map(describe(&role.entry.settings)))
}

/// Stores an entry of an older layout as it reads now, as the built-in engine does when it is asked for one. Where that cannot be written, it reads the
/// same the next time.
async fn bring_up_to_date(mount: &Mount, key: String, entry: &RoleEntry) {
    match mount.put(key, entry.encode()).await {
        Ok(()) | Err(Error::Storage(StorageError::ReadOnly(_))) => {}
        Err(error) => tracing::warn!(%error, "a role of an older layout could not be stored anew"),
    }
}

/// `POST roles/NAME`: makes the role or replaces it as a whole, so that whatever is not sent gets its default.
pub(crate) async fn write(
    mount: Shared,
    _cx: Cx,
    (request, sent, preset): (Written, Sent, PresetRequest),
) -> Result<Response, Error> {
    if preset.is_asked()? {
        return preset::write(&mount, &request.name, &sent, &preset).await;
    }
    store(&mount, &request.name, &sent, RoleEntry::default()).await
}

/// `PATCH roles/NAME`: changes the fields sent, and no others.
pub(crate) async fn patch(
    mount: Shared,
    _cx: Cx,
    (request, sent, preset): (Written, Sent, PresetRequest),
) -> Result<Response, Error> {
    if preset.is_asked()? {
        return Err(Error::bad_request(
            "a preset writes a whole role: send it by POST",
        ));
    }
    let Some(role) = mount.load::<Role>(&RoleEntry::key(&request.name)).await? else {
        return Err(Error::BadRequest(
            "Unable to fetch role entry to patch".into(),
        ));
    };
    store(&mount, &request.name, &sent, role.entry.clone()).await
}

/// `DELETE roles/NAME`: the role need not exist.
pub(crate) async fn delete(mount: Shared, _cx: Cx, request: RoleName) -> Result<Response, Error> {
    mount.delete(RoleEntry::key(&request.name)).await?;
    Ok(Response::none())
}

async fn store(
    mount: &Mount,
    name: &str,
    sent: &Sent,
    mut entry: RoleEntry,
) -> Result<Response, Error> {
    sent.apply(&mut entry.settings)?;
    put(mount, name, entry).await
}

/// Checks a role, stores it and shows it.
pub(crate) async fn put(
    mount: &Mount,
    name: &str,
    mut entry: RoleEntry,
) -> Result<Response, Error> {
    let role = &mut entry.settings;
    let mut warnings = check::role(mount, role).await?;
    if role.no_store && role.generate_lease {
        role.generate_lease = false;
        warnings.push(
            "mutually exclusive values no_store=true and generate_lease=true were both specified; no_store=true takes priority"
                .to_owned(),
        );
    } else if role.generate_lease {
        warnings.push(
            "it is encouraged to disable generate_lease and rely on PKI's native capabilities when possible; this option can cause instance-wide issues with large numbers of issued certificates"
                .to_owned(),
        );
    }
    if mount.is_on_vault() {
        warnings.extend(unknown_to_vault(role));
    }
    // A role that cannot be read has nothing that could be kept.
    if let Ok(Some(before)) = mount.load::<Role>(&RoleEntry::key(name)).await {
        entry.other.keep(&before.entry.other);
    }
    mount.put(RoleEntry::key(name), entry.encode()).await?;
    Ok(warnings
        .into_iter()
        .fold(Response::map(describe(&entry.settings)), Response::warn))
}

/// A warning of limits of a role that Vault's own engine does not know.
fn unknown_to_vault(role: &Settings) -> Option<String> {
    let fields = [
        (
            "allowed_ip_sans_cidr",
            !role.allowed_ip_sans_cidr.is_empty(),
        ),
        ("not_after_bound", role.not_after_bound != "permit"),
        ("not_before_bound", role.not_before_bound != "permit"),
    ];
    let set: Vec<_> = fields
        .iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| *name)
        .collect();
    (!set.is_empty()).then(|| {
        format!(
            "Vault's own pki engine does not know {}: the role is wider, without a word, once it serves the mount again",
            set.join(", ")
        )
    })
}

/// A role as the API shows it.
fn describe(role: &Settings) -> Map<String, Value> {
    let shown = |row: &role::Row| Some((row.name.to_owned(), row.shown(role)?));
    ROWS.iter().filter_map(shown).collect()
}
