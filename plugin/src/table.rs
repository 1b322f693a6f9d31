//! Every path of the engine, one row each. Where two patterns fit a path, the one with more fixed text wins.

use landfast_sdk::logical::{Path, Table, path};

use crate::Mount;
use crate::paths::{roles, settings};

/// The whole table.
pub(crate) fn table() -> Table<Mount> {
    let rows = [role_rows(), setting_rows()];
    Table::new(rows.into_iter().flatten().collect())
        .help(HELP)
        .seal_wrap(&["config/ca_bundle", "config/ca_bundle.bak", "config/key/"])
        .local_storage(&[
            "revoked/",
            "delta-wal/",
            "crl",
            "crls/",
            "certs/",
            "config/cluster",
            "acme/",
        ])
        .resolve(resolve)
}

const HELP: &str = "\
A certificate authority for X.509. It issues certificates by roles, from a key made here or from a request signed by a key that \
stays where it is, keeps the record of what it issued and revoked, and publishes CRLs.

Make or import an issuer under \"root\", \"intermediate\" or \"issuers\", write a role under \"roles/\", and ask for certificates at \
\"issue/\" and \"sign/\".";

fn role_rows() -> Vec<Path<Mount>> {
    vec![
        path("roles", "List the roles.").list(roles::list).display("roles"),
        path("roles/{name}", "Read, write and delete a role.")
            .describe(
                "A role says which names a certificate may have, how long it lives, and what it may be used for. Writing a role \
                 replaces it as a whole: fields that are not sent get their defaults. Patching changes what is sent and nothing else.",
            )
            .read(roles::read)
            .update(roles::write)
            .patch(roles::patch)
            .delete(roles::delete)
            .display("role"),
    ]
}

fn setting_rows() -> Vec<Path<Mount>> {
    vec![
        path(
            "config/acme",
            "Read the settings of the ACME server, which is off.",
        )
        .read(settings::acme),
        path(
            "config/auto-tidy",
            "Read the settings of periodic tidying, which is off.",
        )
        .read(settings::auto_tidy),
        path("tidy-status", "Read the state of tidying.").read(settings::tidy_status),
    ]
}

/// Folds `issuer/DEFAULT` and `key/DEFAULT`, in any case, to lower case, before the host checks policies: a policy that denies
/// `issuer/default` must not be passed by spelling it otherwise (OpenBao GHSA-fg5x-7whg-6c28).
fn resolve(path: &str) -> Option<String> {
    let (kind, rest) = path.split_once('/')?;
    let (reference, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let folds = matches!(kind, "issuer" | "key")
        && reference != "default"
        && reference.eq_ignore_ascii_case("default");
    folds.then(|| format!("{kind}/default{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_default_fold() {
        assert_eq!(resolve("issuer/DEFAULT").as_deref(), Some("issuer/default"));
        assert_eq!(
            resolve("issuer/Default/issue/r").as_deref(),
            Some("issuer/default/issue/r")
        );
        assert_eq!(resolve("key/dEFAULT").as_deref(), Some("key/default"));
        for kept in [
            "issuer/default",
            "issuer/DEFAULTX",
            "issuers/DEFAULT",
            "roles/DEFAULT",
            "issuer",
            "ISSUER/DEFAULT",
            "",
        ] {
            assert_eq!(resolve(kept), None, "{kept}");
        }
    }
}
