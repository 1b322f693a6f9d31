//! `acme/accounts/KID` and `acme/account-thumbprints/THUMBPRINT`: who may ask.

use landfast_acme::AccountKey;
use landfast_acme::problem::Kind;
use landfast_sdk::logical::{Error, Write};

use crate::Mount;
use crate::acme::directory::Directory;
use crate::acme::recent::ACCOUNTS;
use crate::acme::stored::read;
use crate::acme::{Refused, because, eab, problem};
use crate::authority::new_id;
use crate::entry;
use crate::entry::acme::{AccountEntry, AccountStatus, BoundEntry, ThumbprintEntry};
use crate::entry::other::Other;
use crate::entry::time::StoredTime;

/// Storage prefix of the keys of accounts.
pub(crate) const THUMBPRINTS: &str = "acme/account-thumbprints/";

/// An account that is on record.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Its id.
    pub(crate) id: String,
    /// As stored.
    pub(crate) entry: AccountEntry,
}

impl Account {
    /// Its public key.
    ///
    /// # Errors
    /// What is stored is no key.
    pub(crate) fn key(&self) -> Result<AccountKey, Refused> {
        AccountKey::parse(&self.entry.jwk).map_err(Refused::from)
    }

    /// Its URL.
    pub(crate) fn url(&self, directory: &Directory) -> String {
        directory.url(&format!("account/{}", self.id))
    }

    /// What is to be written so that it is on record as it is now.
    pub(crate) fn write(&self) -> Write {
        Write::put(key(&self.id), entry::encode(&self.entry))
    }
}

/// Where an account is stored; what belongs to it lies below that.
pub(crate) fn key(id: &str) -> String {
    format!("{ACCOUNTS}{id}")
}

/// Where it is stored which account has a key.
pub(crate) fn thumbprint_key(thumbprint: &str) -> String {
    format!("{THUMBPRINTS}{thumbprint}")
}

/// What is to be written so that it is on record that an account has a key.
pub(crate) fn write_key(key: &AccountKey, id: &str) -> Write {
    let entry = ThumbprintEntry {
        kid: id.to_owned(),
        other: Other::default(),
    };
    Write::put(thumbprint_key(&key.thumbprint()), entry::encode(&entry))
}

/// The account with this id, if it is one of the directory.
///
/// # Errors
/// There is none. When storage fails.
pub(crate) async fn load(
    mount: &Mount,
    directory: &Directory,
    id: &str,
) -> Result<Account, Refused> {
    let found = match is_id(id) {
        true => read::<AccountEntry>(mount, &key(id)).await?,
        false => None,
    };
    let Some(entry) = found else {
        return Err(because(Kind::AccountDoesNotExist, "account not found"));
    };
    if entry.acme_directory != directory.path {
        return Err(problem(
            Kind::Malformed,
            "account part of different ACME directory path",
        ));
    }
    Ok(Account {
        id: id.to_owned(),
        entry,
    })
}

/// Whether a text may be the id of something: it becomes a part of a storage key.
pub(crate) fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// As [`load`], of a key.
///
/// # Errors
/// The key's account belongs to another directory. When storage fails.
pub(crate) async fn by_key(
    mount: &Mount,
    directory: &Directory,
    key: &AccountKey,
) -> Result<Option<Account>, Refused> {
    let Some(found) = read::<ThumbprintEntry>(mount, &thumbprint_key(&key.thumbprint())).await?
    else {
        return Ok(None);
    };
    match load(mount, directory, &found.kid).await {
        Ok(account) => Ok(Some(account)),
        // The key was put on record, and then no account: it is free.
        Err(Refused::Problem(problem)) if problem.kind == Kind::AccountDoesNotExist => Ok(None),
        Err(other) => Err(other),
    }
}

/// Refuses an account that may not be used.
///
/// # Errors
/// It was given up, or must be bound to an external account.
pub(crate) fn check(directory: &Directory, account: &Account) -> Result<(), Refused> {
    directory.eab.check(&account.entry)?;
    match account.entry.status {
        AccountStatus::Valid => Ok(()),
        AccountStatus::Deactivated => Err(problem(
            Kind::Unauthorized,
            "account in status: deactivated",
        )),
        AccountStatus::Revoked => Err(problem(Kind::Unauthorized, "account in status: revoked")),
    }
}

/// Makes an account, and takes the external account that it is bound to off the list: both or neither, where the host has transactions.
///
/// To be called with [`Acme::accounts`](crate::acme::state::Acme) held.
///
/// # Errors
/// When storage fails.
pub(crate) async fn make(
    mount: &Mount,
    directory: &Directory,
    key: &AccountKey,
    contact: Vec<String>,
    agreed: bool,
    bound: Option<eab::Bound>,
) -> Result<Account, Refused> {
    let id = new_id()?;
    let mut writes = vec![write_key(key, &id)];
    let eab = bound.map(|bound| {
        writes.push(Write::Delete {
            key: eab::key(&bound.id),
        });
        BoundEntry {
            key_type: bound.entry.key_type.clone(),
            acme_directory: bound.entry.acme_directory.clone(),
            created_on: bound.entry.created_on,
            other: Other::default(),
        }
    });
    let account = Account {
        id,
        entry: AccountEntry {
            status: AccountStatus::Valid,
            contact,
            terms_of_service_agreed: agreed,
            jwk: key.canonical().into_bytes(),
            acme_directory: directory.path.clone(),
            account_created_date: StoredTime(mount.now()),
            max_cert_expiry: StoredTime::never(),
            account_revoked_date: StoredTime::never(),
            eab,
            other: Other::default(),
        },
    };
    writes.push(account.write());
    let is_bound = account.entry.eab.is_some();
    mount.save(writes).await.map_err(|error| match error {
        // The client may find it used up by its own request. The other order would let two accounts have it.
        Error::Failed(why) | Error::Internal { public: why, .. } if is_bound => Error::Failed(
            format!("{why}; if the external account is refused from now on, ask for a new one"),
        ),
        other => other,
    })?;
    Ok(account)
}
