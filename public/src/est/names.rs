//! Whose certificate a request may renew (RFC 7030 section 4.2.2).

use std::collections::BTreeSet;

use landfast_pki::{Certificate, Csr, GeneralNames, Name};

use super::refusal::Refusal;

/// Holds a request against the certificate that it is to renew: subject and alternative names are the same.
///
/// Where the request has a ChangeSubjectName (RFC 6402 section 2.8) and `change` allows it, they are what that names instead. The names that are
/// signed are those in the request itself, so the new ones must stand there too.
///
/// # Errors
/// They are not.
pub(crate) fn check(csr: &Csr, old: &Certificate, change: bool) -> Result<(), Refusal> {
    let wish = csr.change_subject_name();
    let wish = wish.map_err(|error| Refusal::bad(error.to_string()))?;
    if wish.is_some() && !change {
        return Err(Refusal::forbidden(
            "certificates are not renewed with other names here (ChangeSubjectName); enrol anew by simpleenroll",
        ));
    }
    let changes = wish.is_some();
    let (subject, names) = wish.map_or((None, None), |wish| (wish.subject, wish.names));
    let subject = subject.as_ref().unwrap_or_else(|| old.subject());
    let names = names.as_ref().unwrap_or_else(|| old.subject_alt_names());
    let as_what = if changes {
        "as its ChangeSubjectName says"
    } else {
        "as in the certificate that it renews"
    };
    if !same_name(csr.subject(), subject) {
        return Err(Refusal::bad(format!(
            "the subject of the request is not {as_what}: {subject}"
        )));
    }
    if !same_names(csr.subject_alt_names(), names) {
        return Err(Refusal::bad(format!(
            "the alternative names of the request are not {as_what}; put the same extension into the request"
        )));
    }
    Ok(())
}

/// Whether two names have the same attributes in the same order. The kind of a string does not matter: tools choose it as they like.
fn same_name(a: &Name, b: &Name) -> bool {
    let rdns = |name: &Name| -> Vec<BTreeSet<(String, String)>> {
        let rdns = name.rdns().into_iter();
        rdns.map(|rdn| {
            rdn.into_iter()
                .map(|one| (one.oid.to_string(), one.value))
                .collect()
        })
        .collect()
    };
    rdns(a) == rdns(b)
}

/// Whether the same alternative names are there, in any order.
fn same_names(a: &GeneralNames, b: &GeneralNames) -> bool {
    fn sorted<T: Ord>(list: impl Iterator<Item = T>) -> Vec<T> {
        let mut list: Vec<T> = list.collect();
        list.sort();
        list
    }
    let texts = |names: &GeneralNames| {
        let dns = names.dns.iter().map(|name| name.to_ascii_lowercase());
        [
            sorted(dns),
            sorted(names.emails.iter().cloned()),
            sorted(names.uris.iter().cloned()),
            sorted(
                names
                    .other
                    .iter()
                    .map(|one| format!("{}={}", one.oid, one.value)),
            ),
        ]
    };
    texts(a) == texts(b)
        && sorted(a.ips.iter()) == sorted(b.ips.iter())
        && sorted(a.rest.iter()) == sorted(b.rest.iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::est::testing::{Maker, names};

    fn refused(csr: &Csr, old: &Certificate, change: bool) -> String {
        check(csr, old, change).expect_err("refused").text
    }

    #[test]
    fn the_same_names_are_renewed_whatever_their_order_and_case() {
        let maker = Maker::new();
        let old = maker.certificate("a.test", &names(&["a.test", "b.test"]));
        let csr = maker.request("a.test", &names(&["B.test", "a.test"]), &[]);
        assert_eq!(check(&csr, &old, false), Ok(()));
    }

    #[test]
    fn another_subject_or_other_names_are_refused() {
        let maker = Maker::new();
        let old = maker.certificate("a.test", &names(&["a.test"]));
        let other = maker.request("b.test", &names(&["a.test"]), &[]);
        assert!(refused(&other, &old, true).contains("subject of the request is not as in"));
        for wrong in [&[][..], &["b.test"], &["a.test", "b.test"]] {
            let csr = maker.request("a.test", &names(wrong), &[]);
            assert!(
                refused(&csr, &old, true).contains("alternative names"),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn an_address_or_a_mail_address_counts_as_a_name() {
        let maker = Maker::new();
        let with = |more: &dyn Fn(&mut GeneralNames)| {
            let mut names = names(&["a.test"]);
            more(&mut names);
            names
        };
        let old = maker.certificate("a.test", &names(&["a.test"]));
        let more: [&dyn Fn(&mut GeneralNames); 3] = [
            &|names| names.ips.push([10, 0, 0, 1].into()),
            &|names| names.emails.push("a@a.test".to_owned()),
            &|names| names.uris.push("urn:a".to_owned()),
        ];
        for more in more {
            let csr = maker.request("a.test", &with(more), &[]);
            assert!(check(&csr, &old, false).is_err());
        }
    }

    #[test]
    fn a_change_of_names_wants_permission_and_says_what_is_signed() {
        let maker = Maker::new();
        let old = maker.certificate("a.test", &names(&["a.test"]));
        let change = maker.change("b.test");
        let csr = maker.request("b.test", &names(&["a.test"]), std::slice::from_ref(&change));
        assert!(refused(&csr, &old, false).contains("not renewed with other names"));
        assert_eq!(check(&csr, &old, true), Ok(()));
        // The attribute says one name, the request another.
        let csr = maker.request("c.test", &names(&["a.test"]), std::slice::from_ref(&change));
        assert!(refused(&csr, &old, true).contains("as its ChangeSubjectName says"));
        // Names that it does not speak of stay.
        let csr = maker.request("b.test", &names(&["b.test"]), &[change]);
        assert!(refused(&csr, &old, true).contains("alternative names"));
    }
}
