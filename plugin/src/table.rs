//! Every path of the engine, one row each. Where two patterns fit a path, the one with more fixed text wins.

mod answers;
mod directories;
mod forms;
mod ids;

use landfast_sdk::logical::{Path, Table, path, rule};

use crate::entry::ends;
use crate::entry::revoked;
use crate::entry::tidy::TidyEntry;
use crate::paths::{
    acme, auto_tidy, cel, cel_roles, cluster, crl, defaults, fetch, import, intermediate, issue,
    issuers, key_pool, keys, kms, lists, metrics, ocsp, revoke, roles, root, seal, sign, tidy,
    trust_anchor, urls,
};
use crate::{Mount, certificates};

/// The whole table.
pub(crate) fn table() -> Table<Mount> {
    let rows = [
        authority_rows(),
        anchor_rows(),
        issuer_rows(),
        key_rows(),
        seal_rows(),
        revocation_rows(),
        role_rows(),
        leaf_rows(),
        fetch_rows(),
        setting_rows(),
        directories::rows(),
        cel_rows(),
    ];
    Table::new(rows.into_iter().flatten().collect())
        .help(HELP)
        .about(
            env!("CARGO_PKG_VERSION"),
            "Mozilla Public License 2.0",
            "https://www.mozilla.org/en-US/MPL/2.0",
        )
        .operation_ids(ids::IDS)
        .operation_ids(&directories::ids())
        .forms(forms::FORMS)
        .answers(answers::ANSWERS)
        .answers(&directories::answers())
        .seal_wrap(&[
            "config/ca_bundle",
            "config/ca_bundle.bak",
            "config/key/",
            "landfast/config/kms",
            "landfast/config/seal",
        ])
        .local_storage(&[
            revoked::PREFIX,
            "delta-wal/",
            "crl",
            "crls/",
            certificates::PREFIX,
            "config/cluster",
            "acme/",
            TidyEntry::KEY,
            ends::PREFIX,
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
                 replaces it as a whole: fields that are not sent get their defaults. Patching changes what is sent and nothing else. \
                 preset=hybrid-node writes the role that EKS hybrid nodes need: it admits the node name that a login proves and no other, \
                 of the AppRole's name, or of the alias of other logins.",
            )
            .read(roles::read)
            .update(roles::write)
            .patch(roles::patch)
            .delete(roles::delete)
            .display("role"),
        path("roles/{name}/hybrid-node", "Where the preset for nodes used to be.")
            .update(roles::moved)
            .hidden(),
    ]
}

fn leaf_rows() -> Vec<Path<Mount>> {
    const ISSUE: &str = "Make a key and a certificate for it by the rules of a role.";
    const ISSUE_MORE: &str = "The private key is in the answer and nowhere else: it is not stored. A key that never leaves its machine \
                              is safer; see \"sign/\".";
    const SIGN: &str = "Make a certificate from a CSR by the rules of a role.";
    const SIGN_MORE: &str = "The CSR gives the public key and, where the role says so, the names. Everything else comes from the role.";
    const VERBATIM: &str =
        "Make a certificate with the subject, names and extensions that a CSR asks for.";
    const VERBATIM_MORE: &str = "No rule on names applies, so this path belongs to operators of the CA only. A role in the path gives \
                                 issuer, lifetime and storing, and nothing else. Basic constraints of the CSR are never taken.";
    vec![
        path("issue/{role}", ISSUE)
            .describe(ISSUE_MORE)
            .update(issue::issue),
        path("issuer/{issuer_ref}/issue/{role}", ISSUE)
            .describe(ISSUE_MORE)
            .update(issue::issue_with),
        path("sign/{role}", SIGN)
            .describe(SIGN_MORE)
            .update(sign::sign),
        path("issuer/{issuer_ref}/sign/{role}", SIGN)
            .describe(SIGN_MORE)
            .update(sign::sign_with),
        path("sign-verbatim", VERBATIM)
            .describe(VERBATIM_MORE)
            .update(sign::verbatim),
        path("sign-verbatim/{role}", VERBATIM)
            .describe(VERBATIM_MORE)
            .update(sign::verbatim_by_role),
        path("issuer/{issuer_ref}/sign-verbatim", VERBATIM)
            .describe(VERBATIM_MORE)
            .update(sign::verbatim_with),
        path("issuer/{issuer_ref}/sign-verbatim/{role}", VERBATIM)
            .describe(VERBATIM_MORE)
            .update(sign::verbatim_with_by_role),
    ]
}

fn fetch_rows() -> Vec<Path<Mount>> {
    const CA: &str = "Fetch the certificate of the default issuer.";
    const CHAIN: &str = "Fetch the chain of the default issuer, its own certificate first.";
    const CERT: &str = "Fetch a stored certificate by its serial number.";
    vec![
        path("ca", CA).read(fetch::ca).unauthenticated(),
        path("ca/pem", CA).read(fetch::ca_pem).unauthenticated(),
        path("ca_chain", CHAIN).read(fetch::ca_chain).unauthenticated(),
        path("cert/ca", CA).read(fetch::cert_ca).unauthenticated(),
        path("cert/ca/raw", CA).read(fetch::ca).unauthenticated(),
        path("cert/ca/raw/pem", CA).read(fetch::ca_pem).unauthenticated(),
        path("cert/ca_chain", CHAIN).read(fetch::cert_ca_chain).unauthenticated(),
        path("cert/{serial}", CERT)
            .describe("The serial number is written with colons or dashes, in either case. The answer says when the certificate was revoked, if it was.")
            .name_rule("serial", rule::serial)
            .read(fetch::cert)
            .unauthenticated(),
        path("cert/{serial}/raw", CERT).name_rule("serial", rule::serial).read(fetch::cert_raw).unauthenticated(),
        path("cert/{serial}/raw/pem", CERT).name_rule("serial", rule::serial).read(fetch::cert_raw_pem).unauthenticated(),
        path("certs", "List the serial numbers of stored certificates.").list(fetch::certs),
        path("certs/revoked", "List the serial numbers of revoked certificates.").list(fetch::certs_revoked),
        path("certs/detailed", "List stored certificates with what they say.").list(fetch::certs_detailed),
    ]
}

fn setting_rows() -> Vec<Path<Mount>> {
    const METRICS: &str = "Read the figures for Prometheus.";
    const METRICS_MORE: &str = "OpenMetrics text: certificates issued, requests refused, revocations, CRLs, issuers, tidying, signatures, the key \
                                pool, OCSP. Counters are those of the process that answers, and begin at zero with it.";
    vec![
        path(
            "config/urls",
            "Read and set the URLs that certificates carry: issuer, CRL, OCSP.",
        )
        .describe(
            "These are the URLs of the mount. An issuer with URLs of its own uses none of them.",
        )
        .read(urls::read)
        .update(urls::write),
        path(
            "config/cluster",
            "Read and set where this cluster is reachable, for templates in URLs.",
        )
        .read(cluster::read)
        .update(cluster::write),
        path(
            "config/acme",
            "Read and set who may have what from the ACME server.",
        )
        .describe(
            "Off unless enabled. It wants the URL of the mount in config/cluster, and a server that passes the headers Replay-Nonce, Link, Location and \
             Retry-After: sys/mounts/MOUNT/tune, allowed_response_headers. Fields that are not sent stay as they are.",
        )
        .read(acme::config::read)
        .update(acme::config::write),
        path("config/acme-validation", "Read and set where the ACME server connects to when it validates names.")
            .describe("Clients choose the names, and so where the server connects to: by default to public addresses only.")
            .read(acme::validation::read)
            .update(acme::validation::write),
        path("eab", "List the external accounts that no ACME account was bound to yet.").list(acme::eab::list),
        path("eab/{key_id}", "Delete an external account that no ACME account was bound to yet.").name_rule("key_id", rule::id).delete(acme::eab::delete),
        path(
            "config/auto-tidy",
            "Read and set what is tidied periodically.",
        )
        .describe("Fields that are not sent stay as they are. The interval counts from the end of the last run, also of one by \"tidy\".")
        .read(auto_tidy::read)
        .update(auto_tidy::write),
        path("config/key-pool", "Read and set how many RSA keys are made ahead.")
            .describe(
                "Off unless a number is set. Each process that serves the mount keeps so many keys in its memory, for \"issue\" only; they are \
                 made while it has nothing else to do, and each is handed out once.",
            )
            .read(key_pool::read)
            .update(key_pool::write),
        path("config/metrics", "Read and set who may read the figures for Prometheus.")
            .describe("Whoever has a token with the right to read \"metrics\" always may. With unauthenticated=true everybody may, at \"metrics/public\".")
            .read(metrics::read_config)
            .update(metrics::write_config),
        path("metrics", METRICS).describe(METRICS_MORE).read(metrics::read),
        path("metrics/public", METRICS)
            .describe("The same as \"metrics\" without a token, once config/metrics has unauthenticated=true. Until then it answers 403.")
            .read(metrics::public)
            .unauthenticated(),
        path("tidy", "Delete what is long past its end.")
            .describe(
                "Begins a run, which goes on after the answer; \"tidy-status\" tells how it is. Without a field that says what to tidy \
                 nothing is done. A certificate goes when its end is safety_buffer ago, a revocation when the certificate's end is \
                 revoked_safety_buffer ago. A run that a crash interrupts goes on after the restart.",
            )
            .update(tidy::start),
        path("tidy-cancel", "End the run of tidying that is under way.").update(tidy::cancel),
        path("tidy-status", "Read how the present or last run of tidying is.").read(tidy::status),
    ]
}

fn cel_rows() -> Vec<Path<Mount>> {
    vec![
        path("cel/roles", "List the CEL roles.")
            .list(cel_roles::list)
            .display("cel-roles"),
        path("cel/roles/{name}", "Read, write and delete a CEL role.")
            .describe(
                "A CEL role decides by a program in the Common Expression Language. Its syntax is checked when it is written. Patching \
                 changes the parts of the program that are sent.",
            )
            .read(cel_roles::read)
            .update(cel_roles::write)
            .patch(cel_roles::patch)
            .delete(cel_roles::delete)
            .display("cel-role"),
        path("cel/issue/{role}", "Make a key and a certificate for it, as the program of a CEL role decides.")
            .describe(
                "The program reads all fields that are sent, whatever their names. The private key is in the answer and nowhere else: it \
                 is not stored.",
            )
            .update(cel::issue),
        path("cel/sign/{role}", "Make a certificate from a CSR, as the program of a CEL role decides.")
            .describe("The CSR gives the public key. Everything else comes from the program, which reads the CSR too.")
            .update(cel::sign),
    ]
}

fn authority_rows() -> Vec<Path<Mount>> {
    vec![
        path("root/generate/{exported}", "Make a root: a key and a certificate that it signs for itself.")
            .describe(
                "Send ttl or not_after: without them the root lives only as long as the mount's default lease. The first issuer of a \
                 mount becomes its default.",
            )
            .update(root::generate),
        path("issuers/generate/root/{exported}", "Make a root: a key and a certificate that it signs for itself.")
            .update(root::generate),
        path("root/rotate/{exported}", "Make the next root beside the present one.")
            .describe("The issuer is named next, unless a name is given. Make it the default with root/replace once every client trusts it.")
            .update(root::rotate),
        path("root", "Delete all issuers and keys.").delete(root::delete).sudo(),
        path("intermediate/generate/{exported}", "Make a key and a request for an intermediate.")
            .describe("Have the request signed by another CA, and hand the certificate to intermediate/set-signed.")
            .update(intermediate::generate),
        path("issuers/generate/intermediate/{exported}", "Make a key and a request for an intermediate.")
            .update(intermediate::generate),
        path("intermediate/cross-sign", "Make a request for a key that is here already.").update(intermediate::cross_sign),
        path("root/sign-intermediate", "Sign a request for an intermediate.").update(intermediate::sign),
        path("issuer/{issuer_ref}/sign-intermediate", "Sign a request for an intermediate.").update(intermediate::sign_with),
        path("root/sign-self-issued", "Sign another CA's own certificate, so that chains through either are valid.")
            .update(intermediate::sign_self_issued)
            .sudo(),
        path("issuer/{issuer_ref}/sign-self-issued", "Sign another CA's own certificate, so that chains through either are valid.")
            .update(intermediate::sign_self_issued_with),
    ]
}

fn anchor_rows() -> Vec<Path<Mount>> {
    let how = "Answers with the text in the shape that format names, after checking what IAM Roles Anywhere asks of a trust anchor. \
               With trust_anchor_id the text updates an anchor in place of making one, which keeps the ARN that nodes hold.";
    vec![
        path(
            "trust-anchor",
            "Export the default issuer as a trust anchor of IAM Roles Anywhere.",
        )
        .describe(how)
        .read(trust_anchor::read)
        .unauthenticated(),
        path(
            "trust-anchor/raw",
            "Export the default issuer as a trust anchor, as a file.",
        )
        .read(trust_anchor::raw)
        .unauthenticated(),
        path(
            "issuer/{issuer_ref}/trust-anchor",
            "Export an issuer as a trust anchor of IAM Roles Anywhere.",
        )
        .describe(how)
        .read(trust_anchor::read_of)
        .unauthenticated(),
        path(
            "issuer/{issuer_ref}/trust-anchor/raw",
            "Export an issuer as a trust anchor, as a file.",
        )
        .read(trust_anchor::raw_of)
        .unauthenticated(),
    ]
}

fn issuer_rows() -> Vec<Path<Mount>> {
    vec![
        path("issuers", "List the issuers.").list(issuers::list).unauthenticated().display("issuers"),
        path("issuer/{issuer_ref}", "Read, change and delete an issuer.")
            .describe(
                "An issuer is a CA certificate with the rules for its use. Deleting it keeps its key; certificates that it signed stay \
                 valid, and can be revoked again only once it is imported again.",
            )
            .read(issuers::read)
            .update(issuers::write)
            .patch(issuers::patch)
            .delete(issuers::delete)
            .display("issuer"),
        path("issuer/{issuer_ref}/json", "Fetch an issuer's certificate and chain.")
            .read(issuers::json)
            .unauthenticated()
            .display("issuer-json"),
        path("issuer/{issuer_ref}/der", "Fetch an issuer's certificate as DER.")
            .read(issuers::der)
            .unauthenticated()
            .display("issuer-der"),
        path("issuer/{issuer_ref}/pem", "Fetch an issuer's certificate as PEM.")
            .read(issuers::pem)
            .unauthenticated()
            .display("issuer-pem"),
        path("issuer/{issuer_ref}/resign-crls", "Make one CRL of several that the issuer's key signed.")
            .describe("The CRLs of an issuer that several clusters have, say. The mount's own CRLs and their numbers stay as they are.")
            .update(lists::resign),
        path("issuer/{issuer_ref}/sign-revocation-list", "Make a CRL of what the caller says.")
            .describe(
                "No record is asked and none is made: whoever may write here decides what the issuer's CRL says, so this path belongs to \
                 operators of the CA only.",
            )
            .update(lists::sign_list),
        path("issuer/{issuer_ref}/revoke", "Revoke an issuer: it signs no more certificates.")
            .describe("The CRL of its parent lists the issuer, if the parent is an issuer of this mount. There is no way back.")
            .update(issuers::revoke),
        path("issuers/import/cert", "Import CA certificates.").update(import::certificates),
        path("issuers/import/bundle", "Import CA certificates and their keys.")
            .describe(
                "Certificates and keys may come in any order, and find each other. What the mount has already stays as it is, so an \
                 import can be repeated.",
            )
            .update(import::bundle),
        path("config/ca", "Import CA certificates and their keys.").update(import::bundle).display("ca"),
        path("intermediate/set-signed", "Import the certificate for a request made here.").update(import::set_signed),
        path("config/issuers", "Read and set the default issuer.").read(defaults::read_issuer).update(defaults::write_issuer),
        path("root/replace", "Make another issuer the default.").update(defaults::replace),
    ]
}

fn key_rows() -> Vec<Path<Mount>> {
    vec![
        path("keys", "List the keys.").list(keys::list).display("keys"),
        path("key/{key_ref}", "Read, rename and delete a key.")
            .describe("The private half is never shown. A key can be deleted only when no issuer uses it.")
            .read(keys::read)
            .update(keys::write)
            .delete(keys::delete)
            .display("key"),
        path("keys/generate/internal", "Make a key whose private half stays here.").update(keys::generate_internal),
        path("keys/generate/exported", "Make a key and show its private half once.").update(keys::generate_exported),
        path("keys/generate/kms", "Take a key that AWS KMS keeps; it signs there.").update(keys::generate_kms),
        path("keys/import", "Import a private key.").update(keys::import),
        path("config/kms", "Read and set how the mount reaches AWS KMS.")
            .describe(
                "Without credentials of its own the mount uses the identity of the server (the environment, shared files, container or \
                 instance of the server's process), if its option use_server_identity is true; who may write sys/mounts sets that. Secrets are never shown again. Nothing is called when this is written.",
            )
            .read(kms::read)
            .update(kms::write)
            .delete(kms::delete),
        path("config/keys", "Read and set the default key.").read(defaults::read_key).update(defaults::write_key),
    ]
}

fn seal_rows() -> Vec<Path<Mount>> {
    vec![
        path("config/seal", "Read and set what seals the CA keys of the mount.")
            .describe(
                "Sealed keys are stored wrapped by a key in AWS KMS, and opened once for each process of the plugin. Writing tries the key out first, \
                 and stores nothing if that fails. It decides how new keys are stored; seal/migrate brings the stored ones there. Type none is the way \
                 back.",
            )
            .read(seal::read)
            .update(seal::write)
            .delete(seal::delete),
        path("seal/status", "Read how the CA keys are stored, and how far a migration is.")
            .describe("Works while the key service is away. Counts say how many keys are sealed and how many are to be changed by seal/migrate.")
            .read(seal::status),
        path("seal/migrate", "Bring all CA keys to what config/seal says.")
            .describe(
                "Seals keys that are stored in clear, wraps the data keys anew where the settings name other keys, and with type none stores keys as the \
                 built-in engine does. The work goes on in the background, also after a restart; each key is in its old form or in its new one at any \
                 moment.",
            )
            .update(seal::migrate),
    ]
}

fn revocation_rows() -> Vec<Path<Mount>> {
    const OCSP: &str = "Ask whether a certificate is revoked, by OCSP.";
    const OCSP_GET: &str = "The path ends in a request in DER as base64; write its slashes and plus signs as %2F and %2B, or take the URL-safe alphabet. \
                            The answer is DER, signed by the issuer. config/crl has the settings.";
    const OCSP_POST: &str = "The server gives no plugin the body of such a request: ask by GET, at ocsp/REQUEST. What is posted here is answered \
                             as malformed.";
    vec![
        path("revoke", "Revoke a certificate.")
            .describe(
                "Takes the serial number of a stored certificate, or any certificate that an issuer of this mount signed. Revoking \
                 twice answers the same.",
            )
            .update(revoke::revoke),
        path("revoke-with-key", "Revoke a certificate by proof of its private key.").update(revoke::revoke_with_key),
        path("config/crl", "Read and set how CRLs are built.").read(crl::read_config).update(crl::write_config),
        path("crl/rotate", "Rebuild all CRLs.").read(crl::rotate),
        path("crl/rotate-delta", "Rebuild the delta CRLs.").read(crl::rotate_delta),
        path("crl", "Fetch the default issuer's CRL as DER.").read(crl::der).unauthenticated().display("crl-der"),
        path("crl/pem", "Fetch the default issuer's CRL as PEM.").read(crl::pem).unauthenticated(),
        path("crl/delta", "Fetch the default issuer's delta CRL as DER.").read(crl::delta_der).unauthenticated(),
        path("crl/delta/pem", "Fetch the default issuer's delta CRL as PEM.").read(crl::delta_pem).unauthenticated(),
        path("cert/crl", "Fetch the default issuer's CRL.").read(crl::cert).unauthenticated(),
        path("cert/delta-crl", "Fetch the default issuer's delta CRL.").read(crl::cert_delta).unauthenticated(),
        path("issuer/{issuer_ref}/crl", "Fetch an issuer's CRL.").read(crl::issuer_json).unauthenticated(),
        path("issuer/{issuer_ref}/crl/der", "Fetch an issuer's CRL as DER.").read(crl::issuer_der).unauthenticated(),
        path("issuer/{issuer_ref}/crl/pem", "Fetch an issuer's CRL as PEM.").read(crl::issuer_pem).unauthenticated(),
        path("issuer/{issuer_ref}/crl/delta", "Fetch an issuer's delta CRL.").read(crl::issuer_delta_json).unauthenticated(),
        path("issuer/{issuer_ref}/crl/delta/der", "Fetch an issuer's delta CRL as DER.")
            .read(crl::issuer_delta_der)
            .unauthenticated(),
        path("issuer/{issuer_ref}/crl/delta/pem", "Fetch an issuer's delta CRL as PEM.")
            .read(crl::issuer_delta_pem)
            .unauthenticated(),
        path("ocsp", OCSP).describe(OCSP_POST).update(ocsp::post).unauthenticated(),
        path("ocsp/{*req}", OCSP).describe(OCSP_GET).name_rule("req", rule::maybe).read(ocsp::get).unauthenticated(),
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
