//! How much a request may say, and how many words an answer spends on what is wrong with it.

/// Most octets of data on paths that need no token, unless the row says otherwise.
pub(crate) const MAX_OPEN_DATA: usize = 4 << 10;

/// Most octets of data that a row may take without a token: more is not read from the wire.
pub(crate) const LARGEST_OPEN_DATA: usize = 64 << 10;

/// Names or warnings that are told one by one.
const TOLD: usize = 5;
/// Bytes of a name that a client has made up.
const LONGEST_NAME: usize = 100;
/// Bytes of a warning, or of the text of an error.
const LONGEST_TEXT: usize = 4 << 10;

/// Names in the order given: the first few of many, and how many more there are.
pub(crate) fn names(names: &[&str]) -> String {
    let told: Vec<&str> = names.iter().take(TOLD).map(|name| cut(name)).collect();
    let more = names.len().saturating_sub(TOLD);
    if more == 0 {
        told.join(" ")
    } else {
        format!("{} and {more} more", told.join(" "))
    }
}

/// Warnings in the order given: the first few of many, and how many more there are. Clients print each of them.
pub(crate) fn warnings(warnings: &mut Vec<String>) {
    let more = warnings.len().saturating_sub(TOLD);
    warnings.truncate(TOLD);
    warnings.iter_mut().for_each(text);
    match more {
        0 => {}
        1 => warnings.push("1 more warning".to_owned()),
        _ => warnings.push(format!("{more} more warnings")),
    }
}

/// A warning or the text of an error, which may repeat what a client sent: the beginning of a long one.
pub(crate) fn text(text: &mut String) {
    let end = text.floor_char_boundary(LONGEST_TEXT);
    if end < text.len() {
        text.truncate(end);
        text.push_str("...");
    }
}

fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(LONGEST_NAME)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_names_are_told_and_many_are_counted() {
        assert_eq!(names(&["a", "b", "c", "d", "e"]), "a b c d e");
        assert_eq!(
            names(&["a", "b", "c", "d", "e", "f", "g"]),
            "a b c d e and 2 more"
        );
        let long = "ä".repeat(1 << 20);
        assert!(names(&[&long]).len() <= LONGEST_NAME);
    }

    #[test]
    fn a_long_text_is_cut_between_two_letters() {
        let mut long = "ä".repeat(1 << 20);
        text(&mut long);
        assert!(long.ends_with("ä...") && long.len() <= LONGEST_TEXT + 3);
        let mut short = "ä".repeat(100);
        text(&mut short);
        assert_eq!(short, "ä".repeat(100));
    }

    #[test]
    fn a_few_warnings_are_told_and_many_are_counted() {
        let mut few: Vec<String> = (0..5).map(|n| n.to_string()).collect();
        warnings(&mut few);
        assert_eq!(few, ["0", "1", "2", "3", "4"]);
        let mut many: Vec<String> = (0..2_000).map(|_| "x".repeat(1 << 16)).collect();
        warnings(&mut many);
        assert_eq!(many.len(), 6);
        assert_eq!(many[5], "1995 more warnings");
        assert!(many.concat().len() < 6 * LONGEST_TEXT);
        let mut six: Vec<String> = (0..6).map(|n| n.to_string()).collect();
        warnings(&mut six);
        assert_eq!(six[5], "1 more warning");
    }
}
