//! `new-account`, `account/KID` and `key-change` (RFC 8555 section 7.3).

use landfast_acme::jws::Flattened;
use landfast_acme::problem::{Kind, Problem};
use landfast_acme::{AccountKey, Binding, key_change};
use landfast_sdk::logical::{Cx, Error, Response, Write};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::session::{Session, Signed, Who, serve};
use crate::acme::accounts::{self, Account};
use crate::acme::directory::Directory;
use crate::acme::{Refused, because, eab, orders, problem};
use crate::entry::acme::AccountStatus;
use crate::entry::time::StoredTime;
use crate::mount::{Mount, Shared};

/// Contacts of an account, at most.
const MOST_CONTACTS: usize = 10;

/// Bytes of a contact: those of the longest mail address, and its scheme.
const LONGEST_CONTACT: usize = 320;

/// Which account.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Id {
    /// The id of the account.
    kid: String,
}

/// What a client says of its account.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wish {
    contact: Option<Vec<String>>,
    terms_of_service_agreed: bool,
    only_return_existing: bool,
    external_account_binding: Option<Value>,
    status: Option<String>,
}

/// `POST new-account`.
pub(crate) async fn make(mount: Shared, cx: Cx, signed: Signed) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        create(&mount, &session).await
    })
    .await
}

async fn create(mount: &Mount, session: &Session) -> Result<Answer, Refused> {
    let wish: Wish = session.payload()?;
    let directory = &session.directory;
    let Who::Key(key) = &session.who else {
        return Err(because(
            Kind::Malformed,
            "cannot submit to newAccount with 'kid'",
        ));
    };
    if let Some(known) = known(mount, directory, key).await? {
        return Ok(known);
    }
    if wish.only_return_existing {
        return Err(because(
            Kind::AccountDoesNotExist,
            "an account with this key does not exist",
        ));
    }
    let contact = checked(wish.contact.unwrap_or_default())?;
    // From here on alone, so that one key is for one account, and one external account too.
    let _alone = mount.acme.accounts.lock().await;
    if let Some(known) = known(mount, directory, key).await? {
        return Ok(known);
    }
    let bound = match &wish.external_account_binding {
        Some(binding) => Some(bound(mount, session, key, binding).await?),
        None if directory.eab.for_new() => {
            return Err(Problem::from(Kind::ExternalAccountRequired).into());
        }
        None => None,
    };
    let account = accounts::make(
        mount,
        directory,
        key,
        contact,
        wish.terms_of_service_agreed,
        bound,
    )
    .await?;
    Ok(show(
        directory,
        &account,
        201,
        wish.external_account_binding,
    ))
}

/// What is answered where the key has an account already (RFC 8555 section 7.3.1).
async fn known(
    mount: &Mount,
    directory: &Directory,
    key: &AccountKey,
) -> Result<Option<Answer>, Refused> {
    let Some(known) = accounts::by_key(mount, directory, key).await? else {
        return Ok(None);
    };
    directory.eab.check(&known.entry)?;
    Ok(Some(show(directory, &known, 200, None)))
}

/// The external account that a new account is to be bound to.
async fn bound(
    mount: &Mount,
    session: &Session,
    key: &AccountKey,
    binding: &Value,
) -> Result<eab::Bound, Refused> {
    let signed = Flattened::deserialize(binding).map_err(|_| {
        problem(
            Kind::Malformed,
            "externalAccountBinding field was unparseable",
        )
    })?;
    let binding = Binding::read(signed)?;
    // Whether there is none, or one for another directory, is nobody's business.
    let refused = || problem(Kind::Unauthorized, "failed to verify eab");
    let found = eab::load(mount, binding.kid()).await?.ok_or_else(refused)?;
    binding.verify(&session.url, key, &found.entry.private_bytes)?;
    if found.entry.acme_directory != session.directory.path {
        return Err(refused());
    }
    Ok(found)
}

/// `POST account/KID`: read, change the contacts, or give the account up.
pub(crate) async fn update(
    mount: Shared,
    cx: Cx,
    (id, signed): (Id, Signed),
) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        change(&mount, &session, &id.kid).await
    })
    .await
}

async fn change(mount: &Mount, session: &Session, id: &str) -> Result<Answer, Refused> {
    own(session.account()?, id)?;
    if session.only_reads() {
        return Ok(show(&session.directory, session.account()?, 200, None));
    }
    let wish: Wish = session.payload()?;
    if wish.external_account_binding.is_some() {
        return Err(problem(
            Kind::Malformed,
            "not allowed to update EAB data in accounts",
        ));
    }
    let _alone = mount.acme.accounts.lock().await;
    let mut account = accounts::load(mount, &session.directory, id).await?;
    // Somebody may have given it up since the request was let in.
    accounts::check(&session.directory, &account)?;
    let mut changed = false;
    if let Some(contact) = wish.contact {
        account.entry.contact = checked(contact)?;
        changed = true;
    }
    match wish.status.as_deref() {
        Some("deactivated") => {
            account.entry.status = AccountStatus::Deactivated;
            account.entry.account_revoked_date = StoredTime(mount.now());
            changed = true;
        }
        None | Some("valid") => {}
        Some(_) => {
            return Err(problem(
                Kind::Malformed,
                "the status of an account can only become deactivated",
            ));
        }
    }
    if changed {
        mount.save(vec![account.write()]).await?;
    }
    Ok(show(&session.directory, &account, 200, None))
}

/// An account asks about itself only.
fn own(account: &Account, id: &str) -> Result<(), Refused> {
    if account.id == id {
        return Ok(());
    }
    Err(problem(
        Kind::Unauthorized,
        "the account in the URL is not the one that signed",
    ))
}

/// `POST orders` and `POST account/KID/orders` (RFC 8555 section 7.1.2.1).
pub(crate) async fn orders(mount: Shared, cx: Cx, signed: Signed) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        list(&mount, &session, None).await
    })
    .await
}

/// See [`orders()`].
pub(crate) async fn orders_of(
    mount: Shared,
    cx: Cx,
    (id, signed): (Id, Signed),
) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        list(&mount, &session, Some(&id.kid)).await
    })
    .await
}

async fn list(mount: &Mount, session: &Session, of: Option<&str>) -> Result<Answer, Refused> {
    let account = session.account()?;
    of.map_or(Ok(()), |id| own(account, id))?;
    session.expect_reading()?;
    let mut urls = Vec::new();
    for id in orders::ids(mount, &account.id).await? {
        let order = orders::load(mount, &account.id, &id).await?;
        if order.entry.status != crate::entry::acme::OrderStatus::Invalid {
            urls.push(order.url(&session.directory));
        }
    }
    Ok(Answer::json(200, &json!({ "orders": urls })))
}

/// `POST key-change` (RFC 8555 section 7.3.5): another key for the account.
pub(crate) async fn change_key(mount: Shared, cx: Cx, signed: Signed) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        rekey(&mount, &session).await
    })
    .await
}

async fn rekey(mount: &Mount, session: &Session) -> Result<Answer, Refused> {
    let id = &session.account()?.id;
    let Who::Account(_, url) = &session.who else {
        return Err(Problem::from(Kind::Malformed).into());
    };
    let inner: Flattened = session.payload()?;
    let _alone = mount.acme.accounts.lock().await;
    let mut account = accounts::load(mount, &session.directory, id).await?;
    accounts::check(&session.directory, &account)?;
    let old = account.key()?;
    let new = key_change::open(&inner, &session.url, url, &old)?;
    if let Some(other) = accounts::by_key(mount, &session.directory, &new).await? {
        let mut taken = Problem::malformed("the new key is that of another account");
        taken.status = 409;
        return Ok(Answer::problem(&taken).header("Location", other.url(&session.directory)));
    }
    account.entry.jwk = new.canonical().into_bytes();
    mount
        .save(vec![
            accounts::write_key(&new, &account.id),
            account.write(),
            Write::Delete {
                key: accounts::thumbprint_key(&old.thumbprint()),
            },
        ])
        .await?;
    Ok(show(&session.directory, &account, 200, None))
}

fn checked(contact: Vec<String>) -> Result<Vec<String>, Refused> {
    let bad = |one: &&String| {
        one.is_empty() || one.len() > LONGEST_CONTACT || one.chars().any(char::is_control)
    };
    if contact.len() > MOST_CONTACTS || contact.iter().any(|one| bad(&one)) {
        return Err(problem(
            Kind::InvalidContact,
            format_args!("at most {MOST_CONTACTS} URLs of at most {LONGEST_CONTACT} characters"),
        ));
    }
    Ok(contact)
}

fn show(directory: &Directory, account: &Account, status: u16, binding: Option<Value>) -> Answer {
    let url = account.url(directory);
    let mut body = json!({ "status": account.entry.status, "orders": format!("{url}/orders") });
    if !account.entry.contact.is_empty() {
        body["contact"] = json!(account.entry.contact);
    }
    if let (Some(binding), Some(_)) = (binding, &account.entry.eab) {
        body["externalAccountBinding"] = binding;
    }
    Answer::json(status, &body).header("Location", url)
}
