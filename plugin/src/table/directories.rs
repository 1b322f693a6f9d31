//! The paths of ACME, which are the same under the four kinds of directories.

use landfast_sdk::logical::Operation::{self, Read, Update};
use landfast_sdk::logical::{Answer, Path, path, rule};

use super::answers::EXTERNAL_ACCOUNT;
use crate::Mount;
use crate::paths::acme::{account, authorization, directory, eab, order, revoke};

use Answer::{Body, Data};

/// What a path answers, and how generated clients name it.
type Row = (Path<Mount>, Operation, Answer, &'static str);

/// But for the making of external accounts they need no token: requests are signed.
fn row(pattern: &'static str) -> Path<Mount> {
    path(pattern, "Speak ACME (RFC 8555) with this mount.")
        .describe("For ACME clients, which are given the URL of a directory. Requests are signed by keys of their own and need no token.")
        .unauthenticated()
        .by_path()
}

/// A request for a hundred names by an RSA key of 8192 bits, in base64url twice, has a third of it.
const LARGEST: usize = 64 << 10;

/// The paths under one kind of directory, with their patterns.
macro_rules! under {
    ($under:literal, $dashed:literal, $eab:literal) => {{
        const JSON: Answer = Body("application/json");
        const CHAIN: Answer = Body("application/pem-certificate-chain");
        let list: Vec<(&'static str, Row)> = vec![
            of(concat!($under, "acme/directory"), concat!("read-", $dashed, "acme-directory"), Read, JSON, |row| row.read(directory::read)),
            of(concat!($under, "acme/new-nonce"), concat!("read-", $dashed, "acme-new-nonce"), Read, Answer::Nothing, |row| {
                row.read(directory::nonce).header(directory::nonce)
            }),
            of(concat!($under, "acme/renewal-info/{cert_id}"), concat!("read-", $dashed, "acme-renewal-info-cert_id"), Read, JSON, |row| {
                row.name_rule("cert_id", rule::any).read(directory::renewal_info)
            }),
            of(concat!($under, "acme/new-account"), concat!("write-", $dashed, "acme-new-account"), Update, JSON, |row| row.takes(LARGEST).update(account::make)),
            of(concat!($under, "acme/account/{kid}"), concat!("write-", $dashed, "acme-account-kid"), Update, JSON, |row| row.name_rule("kid", rule::id).takes(LARGEST).update(account::update)),
            of(concat!($under, "acme/account/{kid}/orders"), concat!("write-", $dashed, "acme-account-kid-orders"), Update, JSON, |row| row.name_rule("kid", rule::id).takes(LARGEST).update(account::orders_of)),
            of(concat!($under, "acme/key-change"), concat!("write-", $dashed, "acme-key-change"), Update, JSON, |row| row.takes(LARGEST).update(account::change_key)),
            of(concat!($under, "acme/orders"), concat!("write-", $dashed, "acme-orders"), Update, JSON, |row| row.takes(LARGEST).update(account::orders)),
            of(concat!($under, "acme/new-order"), concat!("write-", $dashed, "acme-new-order"), Update, JSON, |row| row.takes(LARGEST).update(order::make)),
            of(concat!($under, "acme/order/{order_id}"), concat!("write-", $dashed, "acme-order-order_id"), Update, JSON, |row| row.name_rule("order_id", rule::id).takes(LARGEST).update(order::read)),
            of(concat!($under, "acme/order/{order_id}/finalize"), concat!("write-", $dashed, "acme-order-order_id-finalize"), Update, JSON, |row| row.name_rule("order_id", rule::id).takes(LARGEST).update(order::finalize)),
            of(concat!($under, "acme/order/{order_id}/cert"), concat!("write-", $dashed, "acme-order-order_id-cert"), Update, CHAIN, |row| row.name_rule("order_id", rule::id).takes(LARGEST).update(order::certificate)),
            of(concat!($under, "acme/authorization/{auth_id}"), concat!("write-", $dashed, "acme-authorization-auth_id"), Update, JSON, |row| row.takes(LARGEST).update(authorization::update)),
            of(concat!($under, "acme/challenge/{auth_id}/{challenge_type}"), concat!("write-", $dashed, "acme-challenge-auth_id-challenge_type"), Update, JSON, |row| {
                row.takes(LARGEST).update(authorization::challenge)
            }),
            of(concat!($under, "acme/revoke-cert"), concat!("write-", $dashed, "acme-revoke-cert"), Update, JSON, |row| row.takes(LARGEST).update(revoke::revoke)),
            {
                let pattern = concat!($under, "acme/new-eab");
                let row = path(pattern, "Make an external account for a directory of ACME.")
                    .describe("Give id and key to the person who is to make an ACME account; the key is shown once, and good for one account.")
                    .by_path()
                    .update(eab::make);
                (pattern, (row, Update, Data(&[EXTERNAL_ACCOUNT]), $eab))
            },
        ];
        list
    }};
}

fn of(
    pattern: &'static str,
    id: &'static str,
    operation: Operation,
    answer: Answer,
    serve: impl FnOnce(Path<Mount>) -> Path<Mount>,
) -> (&'static str, Row) {
    (pattern, (serve(row(pattern)), operation, answer, id))
}

fn all() -> impl Iterator<Item = (&'static str, Row)> {
    [
        under!("", "", "generate-eab-key"),
        under!("roles/{role}/", "roles-role-", "generate-eab-key-for-role"),
        under!(
            "issuer/{issuer_ref}/",
            "issuer-issuer_ref-",
            "generate-eab-key-for-issuer"
        ),
        under!(
            "issuer/{issuer_ref}/roles/{role}/",
            "issuer-issuer_ref-roles-role-",
            "generate-eab-key-for-issuer-and-role"
        ),
    ]
    .into_iter()
    .flatten()
}

/// The rows.
pub(super) fn rows() -> Vec<Path<Mount>> {
    all().map(|(_, (row, ..))| row).collect()
}

/// What they answer.
pub(super) fn answers() -> Vec<(&'static str, Operation, Answer)> {
    all()
        .map(|(pattern, (_, operation, answer, _))| (pattern, operation, answer))
        .collect()
}

/// Their operation ids: those of OpenBao's `pki`.
pub(super) fn ids() -> Vec<(&'static str, Operation, &'static str)> {
    all()
        .map(|(pattern, (_, operation, _, id))| (pattern, operation, id))
        .collect()
}
