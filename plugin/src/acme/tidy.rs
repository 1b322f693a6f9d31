//! Tidying of ACME: orders that are over, and accounts that nobody uses.
//!
//! An account that has no order any more and whose last certificate ended long ago is first revoked, and deleted when it was for as long again: its
//! holder may find out meanwhile. As in the built-in engine.

use jiff::{SignedDuration, Timestamp};
use landfast_sdk::logical::{Error, Write};

use crate::Mount;
use crate::acme::accounts::{self, Account};
use crate::acme::certificates::tracked_key;
use crate::acme::orders;
use crate::acme::stored::read_stored;
use crate::entry::acme::{AccountEntry, AccountStatus, OrderEntry, ThumbprintEntry};
use crate::entry::time::StoredTime;

/// How long after their end things stay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffers {
    /// Orders, after the end of their certificate.
    pub(crate) orders: SignedDuration,
    /// Accounts, after the end of their last certificate, and once more after they were revoked.
    pub(crate) accounts: SignedDuration,
}

/// What was done for one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Orders deleted.
    pub(crate) orders: u64,
    /// Accounts deleted.
    pub(crate) deleted: u64,
    /// Accounts revoked.
    pub(crate) revoked: u64,
}

/// Tidies the account that has the key with this thumbprint.
///
/// # Errors
/// When storage fails, or an entry cannot be read; what was done by then stays done.
pub(crate) async fn account(
    mount: &Mount,
    thumbprint: &str,
    buffers: Buffers,
    now: Timestamp,
) -> Result<Done, Error> {
    let _alone = mount.acme.accounts.lock().await;
    let mut done = Done::default();
    let at = accounts::thumbprint_key(thumbprint);
    let Some(ThumbprintEntry { kid, .. }) = read_stored(mount, &at).await? else {
        return Ok(done);
    };
    let Some(entry) = read_stored::<AccountEntry>(mount, &accounts::key(&kid)).await? else {
        // The key was put on record, and then no account.
        mount.delete(at).await?;
        done.deleted = 1;
        return Ok(done);
    };
    let mut account = Account { id: kid, entry };
    let (mut all, mut latest) = (true, account.entry.max_cert_expiry.0);
    for id in orders::ids(mount, &account.id).await? {
        let Some(order) = read_stored::<OrderEntry>(mount, &orders::key(&account.id, &id)).await?
        else {
            continue;
        };
        let end = end(&order);
        latest = latest.max(end);
        let buffer = if order.cert_expiry.is_never() {
            SignedDuration::ZERO
        } else {
            buffers.orders
        };
        if now.duration_since(end) > buffer {
            mount.save(deletions(&account.id, &id, &order)).await?;
            done.orders += 1;
        } else {
            all = false;
        }
    }
    let moved = latest > account.entry.max_cert_expiry.0;
    account.entry.max_cert_expiry = StoredTime(latest);
    let since = |time: StoredTime| now.duration_since(time.0);
    let unused = all
        && since(account.entry.account_created_date) > buffers.accounts
        && since(account.entry.max_cert_expiry) > buffers.accounts;
    let writes = match account.entry.status {
        AccountStatus::Valid if unused => {
            done.revoked = 1;
            account.entry.status = AccountStatus::Revoked;
            account.entry.account_revoked_date = StoredTime(now);
            vec![account.write()]
        }
        AccountStatus::Revoked | AccountStatus::Deactivated
            if unused && since(account.entry.account_revoked_date) > buffers.accounts =>
        {
            done.deleted = 1;
            vec![
                Write::Delete {
                    key: accounts::key(&account.id),
                },
                Write::Delete { key: at },
            ]
        }
        AccountStatus::Valid if moved => vec![account.write()],
        _ => return Ok(done),
    };
    mount.save(writes).await?;
    Ok(done)
}

/// When an order is over: with its certificate, or with itself where it has none.
fn end(order: &OrderEntry) -> Timestamp {
    if order.cert_expiry.is_never() {
        order.expires.0
    } else {
        order.cert_expiry.0
    }
}

/// The order goes last, so that a crash leaves nothing behind that no order leads to.
fn deletions(account: &str, id: &str, order: &OrderEntry) -> Vec<Write> {
    let mut writes: Vec<Write> = order
        .authorization_ids
        .iter()
        .map(|one| Write::Delete {
            key: orders::authorization_key(account, one),
        })
        .collect();
    if !order.cert_serial_number.is_empty() {
        writes.push(Write::Delete {
            key: tracked_key(account, &order.cert_serial_number),
        });
    }
    writes.push(Write::Delete {
        key: orders::key(account, id),
    });
    writes
}
