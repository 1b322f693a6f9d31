//! `cel/roles/NAME`: roles whose programs decide on requests.

mod sent;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use landfast_sdk::logical::{Cx, Error, Page, Response};

use crate::Mount;
use crate::cel_role::CelRole;
use crate::entry::cel::{self, CelRoleEntry, ProgramEntry};
use crate::entry::encode;
use crate::mount::Shared;
use crate::paths::answer::object;

use sent::SentProgram;

/// Which CEL role.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CelRoleName {
    /// Name of the CEL role.
    name: String,
}

/// The program of a CEL role.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ProgramField {
    /// The program: `variables`, a list of objects with `name` and `expression`, evaluated in that order, and `expression`, whose value
    /// decides: a ValidationOutput is a certificate, a text or a truth value refuses.
    #[schemars(extend("type" = "object"))]
    cel_program: Option<SentProgram>,
}

/// `LIST cel/roles`.
pub(crate) async fn list(mount: Shared, _cx: Cx, page: Page) -> Result<Response, Error> {
    Ok(Response::list(
        mount
            .storage()
            .list_page(cel::PREFIX, &page.after, page.limit())
            .await?,
    ))
}

/// `GET cel/roles/NAME`.
pub(crate) async fn read(mount: Shared, _cx: Cx, request: CelRoleName) -> Result<Response, Error> {
    let key = CelRoleEntry::key(&request.name);
    Ok(match mount.load::<CelRole>(&key).await? {
        Some(role) => shown(&request.name, &role.entry.validation_program),
        None => Response::none(),
    })
}

/// `POST cel/roles/NAME`: makes the role or replaces its program.
pub(crate) async fn write(
    mount: Shared,
    _cx: Cx,
    (request, sent): (CelRoleName, ProgramField),
) -> Result<Response, Error> {
    let Some(sent) = sent.cel_program else {
        return Err(Error::failed("missing required field 'cel_program'"));
    };
    let mut program = ProgramEntry::default();
    sent.apply(&mut program).map_err(Error::Failed)?;
    if program.expression.is_empty() {
        return Err(Error::failed("cel_program.expression cannot be empty"));
    }
    store(&mount, &request.name, program).await
}

/// `PATCH cel/roles/NAME`: changes the parts of the program that are sent.
pub(crate) async fn patch(
    mount: Shared,
    _cx: Cx,
    (request, sent): (CelRoleName, ProgramField),
) -> Result<Response, Error> {
    let key = CelRoleEntry::key(&request.name);
    let Some(role) = mount.load::<CelRole>(&key).await? else {
        return Err(Error::bad_request(
            "Unable to fetch cel role entry to patch",
        ));
    };
    let mut program = role.entry.validation_program.clone();
    if let Some(sent) = sent.cel_program {
        sent.apply(&mut program).map_err(Error::BadRequest)?;
    }
    store(&mount, &request.name, program).await
}

/// `DELETE cel/roles/NAME`: the role need not exist.
pub(crate) async fn delete(
    mount: Shared,
    _cx: Cx,
    request: CelRoleName,
) -> Result<Response, Error> {
    mount.delete(CelRoleEntry::key(&request.name)).await?;
    Ok(Response::null())
}

/// Checks a program, stores its role and shows it.
async fn store(mount: &Mount, name: &str, program: ProgramEntry) -> Result<Response, Error> {
    let checked = mount.heavy.run(|| program.program().check()).await;
    checked.map_err(|fault| Error::Failed(fault.to_string()))?;
    let mut entry = CelRoleEntry {
        name: name.to_owned(),
        validation_program: program,
        ..CelRoleEntry::default()
    };
    // A role that cannot be read has nothing that could be kept.
    if let Ok(Some(before)) = mount.load::<CelRole>(&CelRoleEntry::key(name)).await {
        entry.other.keep(&before.entry.other);
        let program = &mut entry.validation_program;
        program.other.keep(&before.entry.validation_program.other);
    }
    mount.put(CelRoleEntry::key(name), encode(&entry)).await?;
    Ok(shown(name, &entry.validation_program))
}

/// A role as the API shows it.
fn shown(name: &str, program: &ProgramEntry) -> Response {
    let variables = program
        .variables
        .iter()
        .map(|one| json!({ "name": one.name, "expression": one.expression }));
    let variables: Vec<Value> = variables.collect();
    let mut shown = json!({ "expression": program.expression });
    if !variables.is_empty() {
        shown["variables"] = variables.into();
    }
    Response::map(object(json!({ "name": name, "cel_program": shown })))
}
