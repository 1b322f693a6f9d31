//! `authorization/ID` and `challenge/ID/TYPE` (RFC 8555 section 7.5).

use landfast_acme::problem::{Kind, Problem};
use landfast_sdk::logical::{Cx, Error, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, word};
use super::session::{Session, Signed, serve};
use crate::acme::directory::Directory;
use crate::acme::{Refused, because, orders, validation};
use crate::entry::acme::{
    AuthorizationEntry, AuthorizationStatus, ChallengeEntry, ChallengeStatus,
};
use crate::mount::{Mount, Shared};

/// Which authorization.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Id {
    /// The id of the authorization.
    auth_id: String,
}

/// Which challenge.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Which {
    /// The id of the authorization.
    auth_id: String,
    /// The type of the challenge: `http-01`, `dns-01` or `tls-alpn-01`.
    challenge_type: String,
}

/// Seconds after which it is worth asking again for what is being validated; certbot asks some thirty times in all, and then gives up.
fn pause(challenge: &ChallengeEntry) -> &'static str {
    match challenge.error {
        // The next try is a while away.
        Some(_) => "5",
        None => "2",
    }
}

/// `POST authorization/ID`: read it, or give it up.
pub(crate) async fn update(
    mount: Shared,
    cx: Cx,
    (id, signed): (Id, Signed),
) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        change(&mount, &session, &id.auth_id).await
    })
    .await
}

#[derive(Deserialize)]
struct Wish {
    status: Option<String>,
}

async fn change(mount: &Mount, session: &Session, id: &str) -> Result<Answer, Refused> {
    let account = session.account()?;
    if session.expect_reading().is_ok() {
        let authorization = orders::load_authorization(mount, &account.id, id).await?;
        return Ok(show(&session.directory, &authorization));
    }
    let wish: Wish = session.payload()?;
    if wish.status.as_deref() != Some("deactivated") {
        return Err(Problem::from(Kind::Malformed).into());
    }
    let _alone = mount.acme.writing(id).lock().await;
    let mut authorization = orders::load_authorization(mount, &account.id, id).await?;
    if !matches!(
        authorization.status,
        AuthorizationStatus::Pending | AuthorizationStatus::Valid
    ) {
        return Err(because(
            Kind::Malformed,
            format_args!(
                "unable to deactivate authorization in '{}' status",
                word(authorization.status)
            ),
        ));
    }
    authorization.status = AuthorizationStatus::Deactivated;
    for challenge in &mut authorization.challenges {
        challenge.status = ChallengeStatus::Invalid;
    }
    mount
        .save(vec![orders::write_authorization(&authorization)])
        .await?;
    Ok(show(&session.directory, &authorization))
}

/// `POST challenge/ID/TYPE`: read it, or say that the name is ready to be validated.
pub(crate) async fn challenge(
    mount: Shared,
    cx: Cx,
    (which, signed): (Which, Signed),
) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        respond(&mount, &session, &which).await
    })
    .await
}

async fn respond(mount: &Shared, session: &Session, which: &Which) -> Result<Answer, Refused> {
    let account = session.account()?;
    let kind = which
        .challenge_type
        .parse()
        .map_err(|_| validation::unknown(&which.challenge_type))?;
    let authorization = if session.only_reads() {
        orders::load_authorization(mount, &account.id, &which.auth_id).await?
    } else {
        session.expect_reading()?;
        let thumbprint = account.key()?.thumbprint();
        validation::accept(mount, &account.id, &which.auth_id, kind, thumbprint).await?
    };
    let challenge = authorization.challenges.iter().find(|one| one.kind == kind);
    let challenge = challenge.ok_or_else(|| validation::unknown(kind))?;
    let up = session
        .directory
        .url(&format!("authorization/{}", authorization.id));
    let answer = Answer::json(200, &one(&session.directory, &authorization.id, challenge))
        .header("Link", format!("<{up}>;rel=\"up\""));
    Ok(match challenge.status {
        ChallengeStatus::Processing => answer.header("Retry-After", pause(challenge)),
        _ => answer,
    })
}

fn show(directory: &Directory, authorization: &AuthorizationEntry) -> Answer {
    let challenges: Vec<_> = authorization
        .challenges
        .iter()
        .map(|challenge| one(directory, &authorization.id, challenge))
        .collect();
    let mut body = json!({
        "identifier": { "type": authorization.identifier.kind, "value": authorization.identifier.value },
        "status": authorization.status,
        "wildcard": authorization.wildcard,
        "challenges": challenges,
    });
    if !authorization.expires.is_empty() {
        body["expires"] = authorization.expires.as_str().into();
    }
    let answer = Answer::json(200, &body);
    let tried = authorization
        .challenges
        .iter()
        .find(|one| one.status == ChallengeStatus::Processing);
    match tried {
        Some(challenge) if authorization.status == AuthorizationStatus::Pending => {
            answer.header("Retry-After", pause(challenge))
        }
        _ => answer,
    }
}

fn one(directory: &Directory, id: &str, challenge: &ChallengeEntry) -> Value {
    let mut body = json!({
        "type": challenge.kind,
        "url": directory.url(&format!("challenge/{id}/{}", challenge.kind)),
        "status": challenge.status,
        "token": challenge.challenge_fields.token,
    });
    if !challenge.validated.is_empty() {
        body["validated"] = challenge.validated.as_str().into();
    }
    if let Some(error) = &challenge.error {
        body["error"] = Value::Object(error.clone());
    }
    body
}
