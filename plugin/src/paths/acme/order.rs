//! `new-order`, `order/ID`, `order/ID/finalize` and `order/ID/cert` (RFC 8555 section 7.4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use landfast_acme::identifier::{self, Raw};
use landfast_acme::problem::Kind;
use landfast_sdk::logical::{Cx, Error, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, time, word};
use super::session::{Session, Signed, serve};
use crate::acme::directory::Directory;
use crate::acme::orders::{self, Order};
use crate::acme::{Refused, certificates, problem, renewal};
use crate::entry::acme::{AuthorizationStatus, OrderStatus};
use crate::mount::{Mount, Shared};

/// Which order.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Id {
    /// The id of the order.
    order_id: String,
}

/// What a client wants.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    #[serde(default)]
    identifiers: Vec<Raw>,
    not_before: Option<Value>,
    not_after: Option<Value>,
    profile: Option<String>,
    replaces: Option<String>,
}

/// `POST new-order`.
pub(crate) async fn make(mount: Shared, cx: Cx, signed: Signed) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        create(&mount, session).await
    })
    .await
}

async fn create(mount: &Mount, session: Session) -> Result<Answer, Refused> {
    let account = session.account()?.clone();
    let wish: Wish = session.payload()?;
    if wish.not_before.is_some() || wish.not_after.is_some() {
        return Err(problem(
            Kind::Malformed,
            "NotBefore and NotAfter are not supported",
        ));
    }
    let names = identifier::of_order(&wish.identifiers)?;
    let profile = wish.profile.unwrap_or_default();
    let directory = session.directory.with_profile(mount, &profile).await?;
    orders::check_names(&directory, &directory.rules(mount.now())?, &names)?;
    let replaces = wish.replaces.unwrap_or_default();
    let (order, authorizations) =
        orders::make(&account.id, &names, profile, replaces, mount.now())?;
    let mut writes: Vec<_> = authorizations
        .iter()
        .map(orders::write_authorization)
        .collect();
    let _alone;
    if !order.entry.replaces.is_empty() {
        _alone = mount.acme.writing(&order.entry.replaces).lock().await;
        writes.push(renewal::replace(mount, &order).await?);
    }
    writes.push(order.write());
    mount.save(writes).await?;
    Ok(show(&directory, &order, OrderStatus::Pending, 201))
}

/// `POST order/ID`.
pub(crate) async fn read(
    mount: Shared,
    cx: Cx,
    (id, signed): (Id, Signed),
) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        fetch(&mount, &session, &id.order_id).await
    })
    .await
}

async fn fetch(mount: &Mount, session: &Session, id: &str) -> Result<Answer, Refused> {
    let account = session.account()?;
    session.expect_reading()?;
    let mut order = orders::load(mount, &account.id, id).await?;
    let status = order.status(mount, mount.now()).await?;
    let mut error = None;
    if matches!(status, OrderStatus::Valid | OrderStatus::Invalid) {
        // Those that were completed (RFC 8555 section 7.1.3).
        let mut completed = Vec::new();
        for id in std::mem::take(&mut order.entry.authorization_ids) {
            let authorization = orders::load_authorization(mount, &account.id, &id).await?;
            match authorization.status {
                AuthorizationStatus::Valid => completed.push(id),
                _ => {
                    error = error.or_else(|| {
                        authorization
                            .challenges
                            .into_iter()
                            .find_map(|one| one.error)
                    })
                }
            }
        }
        order.entry.authorization_ids = completed;
    }
    Ok(match error {
        Some(error) if status == OrderStatus::Invalid => show_with(
            &session.directory,
            &order,
            status,
            200,
            Some(Value::Object(error)),
        ),
        _ => show(&session.directory, &order, status, 200),
    })
}

/// What a client finalizes an order with.
#[derive(Deserialize)]
struct Finalize {
    csr: Option<String>,
}

/// `POST order/ID/finalize`.
pub(crate) async fn finalize(
    mount: Shared,
    cx: Cx,
    (id, signed): (Id, Signed),
) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        complete(&mount, session, &id.order_id).await
    })
    .await
}

async fn complete(mount: &Mount, session: Session, id: &str) -> Result<Answer, Refused> {
    let account = session.account()?.clone();
    let wish: Finalize = session.payload()?;
    let csr = wish
        .csr
        .ok_or_else(|| problem(Kind::Malformed, "missing csr in payload"))?;
    let der = URL_SAFE_NO_PAD.decode(csr).map_err(|cause| {
        problem(
            Kind::Malformed,
            format_args!("failed base64 decoding csr: {cause}"),
        )
    })?;
    let _alone = mount.acme.writing(id).lock().await;
    let mut order = orders::load(mount, &account.id, id).await?;
    let status = order.status(mount, mount.now()).await?;
    if status != OrderStatus::Ready {
        return Err(problem(
            Kind::OrderNotReady,
            format_args!(
                "order is status {}, needs to be in ready state",
                word(status)
            ),
        ));
    }
    let csr = certificates::read_request(&der, &order, &account)?;
    let directory = session
        .directory
        .with_profile(mount, &order.entry.profile)
        .await?;
    certificates::make(mount, &directory, &mut order, &csr).await?;
    Ok(show(&directory, &order, OrderStatus::Valid, 200))
}

/// `POST order/ID/cert` (RFC 8555 section 7.4.2).
pub(crate) async fn certificate(
    mount: Shared,
    cx: Cx,
    (id, signed): (Id, Signed),
) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        download(&mount, &session, &id.order_id).await
    })
    .await
}

async fn download(mount: &Mount, session: &Session, id: &str) -> Result<Answer, Refused> {
    let account = session.account()?;
    session.expect_reading()?;
    let order = orders::load(mount, &account.id, id).await?;
    if order.entry.status != OrderStatus::Valid {
        return Err(problem(
            Kind::OrderNotReady,
            format_args!(
                "order is status {}, needs to be in valid state",
                word(order.entry.status)
            ),
        ));
    }
    let chain = certificates::chain(mount, &order).await?;
    Ok(Answer::raw(
        200,
        "application/pem-certificate-chain",
        chain.into_bytes(),
    ))
}

fn show(directory: &Directory, order: &Order, status: OrderStatus, code: u16) -> Answer {
    show_with(directory, order, status, code, None)
}

fn show_with(
    directory: &Directory,
    order: &Order,
    status: OrderStatus,
    code: u16,
    error: Option<Value>,
) -> Answer {
    let (url, entry) = (order.url(directory), &order.entry);
    let names: Vec<_> = entry
        .identifiers
        .iter()
        .map(|name| json!({ "type": name.kind, "value": name.original_value }))
        .collect();
    let authorizations: Vec<_> = entry
        .authorization_ids
        .iter()
        .map(|id| directory.url(&format!("authorization/{id}")))
        .collect();
    let mut body = json!({
        "status": status,
        "expires": time(entry.expires.0),
        "identifiers": names,
        "authorizations": authorizations,
        "finalize": format!("{url}/finalize"),
    });
    if status == OrderStatus::Valid {
        body["certificate"] = format!("{url}/cert").into();
    }
    for (member, value) in [("profile", &entry.profile), ("replaces", &entry.replaces)] {
        if !value.is_empty() {
            body[member] = value.as_str().into();
        }
    }
    if let Some(error) = error {
        body["error"] = error;
    }
    Answer::json(code, &body).header("Location", url)
}
