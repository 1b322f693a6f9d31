//! `acme/accounts/KID/orders/ID` and `…/authorizations/ID`: what was asked for, and what is still to be shown for it.

use jiff::{SignedDuration, Timestamp};
use landfast_acme::challenge::{self, ChallengeType};
use landfast_acme::identifier::Identifier;
use landfast_acme::problem::{Kind, Problem};
use landfast_pki::Profile;
use landfast_sdk::logical::{Error, Write};

use crate::Mount;
use crate::acme::accounts::{self, is_id};
use crate::acme::directory::Directory;
use crate::acme::stored::{read, read_stored};
use crate::acme::{Refused, because};
use crate::authority::new_id;
use crate::entry::acme::{
    AuthorizationEntry, AuthorizationStatus, ChallengeEntry, ChallengeFields, ChallengeStatus,
    IdentifierKind, OrderEntry, OrderStatus, StoredIdentifier,
};
use crate::entry::other::Other;
use crate::entry::time::StoredTime;
use crate::{entry, fault};

/// How long an order can be finalized.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// An order that is on record.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Its id.
    pub(crate) id: String,
    /// As stored.
    pub(crate) entry: OrderEntry,
}

impl Order {
    /// What is to be written so that it is on record as it is now.
    pub(crate) fn write(&self) -> Write {
        Write::put(
            key(&self.entry.account_id, &self.id),
            entry::encode(&self.entry),
        )
    }

    /// Its URL.
    pub(crate) fn url(&self, directory: &Directory) -> String {
        directory.url(&format!("order/{}", self.id))
    }

    /// The DNS names, as they are in the certificate.
    pub(crate) fn dns(&self) -> Vec<String> {
        let names = self.entry.identifiers.iter();
        names
            .filter(|name| name.kind == IdentifierKind::Dns)
            .map(|name| name.original_value.to_ascii_lowercase())
            .collect()
    }

    /// The addresses.
    pub(crate) fn ips(&self) -> Vec<std::net::IpAddr> {
        let names = self.entry.identifiers.iter();
        names
            .filter(|name| name.kind == IdentifierKind::Ip)
            .filter_map(|name| name.value.parse().ok())
            .collect()
    }

    /// How it stands at `now`, which follows from its authorizations too (RFC 8555 section 7.1.6).
    ///
    /// # Errors
    /// An authorization cannot be read.
    pub(crate) async fn status(
        &self,
        mount: &Mount,
        now: Timestamp,
    ) -> Result<OrderStatus, Refused> {
        match self.entry.status {
            done @ (OrderStatus::Invalid | OrderStatus::Valid) => return Ok(done),
            _ if now > self.entry.expires.0 => return Ok(OrderStatus::Invalid),
            known @ (OrderStatus::Ready | OrderStatus::Processing) => return Ok(known),
            OrderStatus::Pending if self.entry.authorization_ids.is_empty() => {
                return Ok(OrderStatus::Pending);
            }
            OrderStatus::Pending => {}
        }
        let mut status = OrderStatus::Ready;
        for id in &self.entry.authorization_ids {
            let account = &self.entry.account_id;
            let mut authorization = load_authorization(mount, account, id).await?;
            // Who asks waits for a change of this one, wherever it is written.
            if authorization.status == AuthorizationStatus::Pending {
                let key = authorization_key(account, id);
                if let Some(stored) = read_stored(mount, &key).await? {
                    authorization = stored;
                }
            }
            match authorization.status {
                AuthorizationStatus::Pending => status = OrderStatus::Pending,
                AuthorizationStatus::Valid => {}
                _ => return Ok(OrderStatus::Invalid),
            }
        }
        Ok(status)
    }
}

/// Where an order is stored.
pub(crate) fn key(account: &str, id: &str) -> String {
    format!("{}/orders/{id}", accounts::key(account))
}

/// Where an authorization is stored.
pub(crate) fn authorization_key(account: &str, id: &str) -> String {
    format!("{}/authorizations/{id}", accounts::key(account))
}

/// What is to be written so that an authorization is on record as it is now.
pub(crate) fn write_authorization(authorization: &AuthorizationEntry) -> Write {
    let key = authorization_key(&authorization.account_id, &authorization.id);
    Write::put(key, entry::encode(authorization))
}

/// The account's order with this id.
///
/// # Errors
/// It has none. When storage fails.
pub(crate) async fn load(mount: &Mount, account: &str, id: &str) -> Result<Order, Refused> {
    let found = match is_id(id) {
        true => read::<OrderEntry>(mount, &key(account, id)).await?,
        false => None,
    };
    let Some(entry) = found else {
        return Err(because(Kind::Malformed, "order does not exist"));
    };
    if entry.account_id != account {
        return Err(Problem::from(Kind::Unauthorized).into());
    }
    Ok(Order {
        id: id.to_owned(),
        entry,
    })
}

/// The ids of the account's orders.
///
/// # Errors
/// When storage fails.
pub(crate) async fn ids(mount: &Mount, account: &str) -> Result<Vec<String>, Error> {
    let mut names = mount.storage().list(&key(account, "")).await?;
    names.retain(|name| !name.ends_with('/'));
    Ok(names)
}

/// The account's authorization with this id.
///
/// # Errors
/// It has none. When storage fails.
pub(crate) async fn load_authorization(
    mount: &Mount,
    account: &str,
    id: &str,
) -> Result<AuthorizationEntry, Refused> {
    let found = match is_id(id) {
        true => read::<AuthorizationEntry>(mount, &authorization_key(account, id)).await?,
        false => None,
    };
    let Some(entry) = found else {
        return Err(because(Kind::Malformed, "authorization does not exist"));
    };
    if entry.account_id != account {
        return Err(Problem::from(Kind::Unauthorized).into());
    }
    Ok(entry)
}

/// Refuses names that the directory's rules do not admit, before anybody shows control of them.
///
/// # Errors
/// A name that is not admitted; all of them as subproblems.
pub(crate) fn check_names(
    directory: &Directory,
    rules: &Profile,
    names: &[Identifier],
) -> Result<(), Refused> {
    let admitted = rules.names(None, "");
    let role = directory.role_name();
    let refused = |name: &Identifier| {
        let fits = match name.ip() {
            None => admitted.allow(name.value()),
            Some(ip) => rules.allows_ip(ip),
        };
        (!fits).then(|| {
            Problem::new(
                Kind::RejectedIdentifier,
                format!(
                    "{}: role ({role}) will not issue certificate for name {}",
                    Kind::RejectedIdentifier.meaning(),
                    name.value()
                ),
            )
        })
    };
    match Problem::of_all(names.iter().filter_map(refused).collect()) {
        Some(problem) => Err(problem.into()),
        None => Ok(()),
    }
}

/// A new order with an authorization for each name; nothing is stored yet.
///
/// # Errors
/// When there is no randomness.
pub(crate) fn make(
    account: &str,
    names: &[Identifier],
    profile: String,
    replaces: String,
    now: Timestamp,
) -> Result<(Order, Vec<AuthorizationEntry>), Error> {
    let authorizations = names
        .iter()
        .map(|name| authorization(account, name))
        .collect::<Result<Vec<_>, _>>()?;
    let entry = OrderEntry {
        account_id: account.to_owned(),
        status: OrderStatus::Pending,
        expires: StoredTime(now + LIFETIME),
        identifiers: names.iter().map(stored).collect(),
        authorization_ids: authorizations.iter().map(|one| one.id.clone()).collect(),
        cert_serial_number: String::new(),
        cert_expiry: StoredTime::never(),
        issuer_id: String::new(),
        profile,
        replaces,
        other: Other::default(),
    };
    Ok((
        Order {
            id: new_id()?,
            entry,
        },
        authorizations,
    ))
}

fn stored(name: &Identifier) -> StoredIdentifier {
    let ip = name.ip();
    StoredIdentifier {
        kind: if ip.is_some() {
            IdentifierKind::Ip
        } else {
            IdentifierKind::Dns
        },
        value: name.host().to_owned(),
        original_value: name.value().to_owned(),
        is_wildcard: name.is_wildcard(),
        is_ipv6: ip.is_some_and(|ip| ip.is_ipv6()),
    }
}

fn authorization(account: &str, name: &Identifier) -> Result<AuthorizationEntry, Error> {
    let challenges = ChallengeType::offered(name).iter().map(|kind| {
        Ok(ChallengeEntry {
            kind: *kind,
            status: ChallengeStatus::Pending,
            validated: String::new(),
            error: None,
            challenge_fields: ChallengeFields {
                token: challenge::token().map_err(|error| fault::failed(error.into()))?,
                other: Other::default(),
            },
            other: Other::default(),
        })
    });
    Ok(AuthorizationEntry {
        id: new_id()?,
        account_id: account.to_owned(),
        identifier: stored(name),
        status: AuthorizationStatus::Pending,
        expires: String::new(),
        challenges: challenges.collect::<Result<_, Error>>()?,
        wildcard: name.is_wildcard(),
        other: Other::default(),
    })
}
