//! From a source to a tree. What is longer or goes deeper than is read safely is refused before it is parsed.

use cel::IdedExpr;
use cel::common::ast::SourceInfo;

use crate::environment;

/// The longest source of one expression, in octets.
pub(crate) const MAX_LENGTH: usize = 64 << 10;

/// Most operators, dots and brackets in one expression: each may make the tree one step deeper.
pub(crate) const MAX_LINKS: usize = 1000;

/// How deep brackets may go, as in the built-in engine.
const MAX_DEPTH: u16 = 250;

/// An expression, and where in the source its nodes stand.
pub(crate) struct Parsed {
    pub(crate) tree: IdedExpr,
    pub(crate) places: SourceInfo,
}

/// Parses a source. It must run in a [room](crate::room).
///
/// # Errors
/// Its syntax is wrong, or it is too large: the text names each place.
pub(crate) fn parse(source: &str) -> Result<Parsed, String> {
    check_size(source)?;
    let parser = environment::shared()
        .parser()
        .max_recursion_depth(MAX_DEPTH);
    match parser.parse_with_source_info(source) {
        Ok((tree, places)) => Ok(Parsed { tree, places }),
        Err(found) => {
            let too_deep = |text: &str| text.contains("Recursion limit of");
            if found.errors.iter().any(|one| too_deep(&one.msg)) {
                return Err(format!(
                    "ERROR: <input>:-1:0: expression recursion limit exceeded: {MAX_DEPTH}"
                ));
            }
            let places = found.errors.iter().map(|one| {
                let at = |number: isize| usize::try_from(number).unwrap_or_default();
                // Nothing has no first column.
                let column = if source.is_empty() { 0 } else { at(one.pos.1) };
                place(source, at(one.pos.0), column, &one.msg)
            });
            Err(places.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// A fault of a source and where it is: line and column count from 1, in code points.
pub(crate) fn place(source: &str, line: usize, column: usize, text: &str) -> String {
    let mut told = format!("ERROR: <input>:{line}:{column}: {text}");
    let quoted = source.split('\n').nth(line.saturating_sub(1));
    if let Some(quoted) = quoted.filter(|quoted| !quoted.is_empty()) {
        let dots = ".".repeat(column.saturating_sub(1).min(quoted.len()));
        told.push_str(&format!("\n | {quoted}\n | {dots}^"));
    }
    told
}

/// Refuses what is not read safely.
///
/// # Errors
/// It is too long or may go too deep.
pub(crate) fn check_size(source: &str) -> Result<(), String> {
    if source.len() > MAX_LENGTH {
        return Err(format!(
            "the expression has {} octets, and at most {MAX_LENGTH} are taken: put parts of it into variables",
            source.len()
        ));
    }
    let links = links(source);
    if links > MAX_LINKS {
        return Err(format!(
            "the expression has {links} operators, dots and brackets, and at most {MAX_LINKS} are taken: put parts of it into variables"
        ));
    }
    Ok(())
}

/// How many characters there are outside of texts that may make the tree deeper. From where it is not clear any more what is a text, all
/// count.
fn links(source: &str) -> usize {
    let octets = source.as_bytes();
    let (mut at, mut links, mut clear) = (0, 0, true);
    while at < octets.len() {
        let rest = &octets[at..];
        let in_word = at > 0 && is_word(octets[at - 1]);
        if clear && let Some(end) = literal(rest) {
            match end.filter(|_| !in_word) {
                Some(length) => {
                    at += length;
                    continue;
                }
                None => clear = false,
            }
        }
        match rest[0] {
            b'/' if clear && rest.starts_with(b"//") => {
                at += rest
                    .iter()
                    .position(|octet| *octet == b'\n')
                    .unwrap_or(rest.len());
                continue;
            }
            b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' | b'&' | b'|'
            | b'?' | b'[' | b'(' | b'{' => links += 1,
            // `a in b in c`
            b'i' if !in_word && rest.starts_with(b"in") => {
                links += usize::from(!rest.get(2).is_some_and(|octet| is_word(*octet)));
            }
            _ => {}
        }
        at += 1;
    }
    links
}

fn is_word(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'_'
}

/// Whether a literal of text or octets begins here, and its length with quotes and prefix. What is not closed or has an escape that the
/// language lacks has none.
fn literal(octets: &[u8]) -> Option<Option<usize>> {
    let mut start = usize::from(matches!(octets[0], b'b' | b'B'));
    let raw = matches!(octets.get(start), Some(b'r' | b'R'));
    start += usize::from(raw);
    let quote = *octets
        .get(start)
        .filter(|octet| matches!(octet, b'\'' | b'"'))?;
    let triple = octets[start..].starts_with(&[quote; 3]);
    Some(closed(
        octets,
        start + if triple { 3 } else { 1 },
        quote,
        triple,
        raw,
    ))
}

/// Where the literal ends whose text begins at `at`.
fn closed(octets: &[u8], mut at: usize, quote: u8, triple: bool, raw: bool) -> Option<usize> {
    loop {
        match *octets.get(at)? {
            _ if triple && octets[at..].starts_with(&[quote; 3]) => return Some(at + 3),
            octet if octet == quote && !triple => return Some(at + 1),
            b'\n' | b'\r' if !triple => return None,
            b'\\' if !raw => at += escape(&octets[at + 1..])? + 1,
            _ => at += 1,
        }
    }
}

/// The length of an escape behind its backslash.
fn escape(rest: &[u8]) -> Option<usize> {
    let digits = |count: usize| {
        let digits = rest.get(1..=count)?;
        digits
            .iter()
            .all(u8::is_ascii_hexdigit)
            .then_some(count + 1)
    };
    match rest.first()? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`' => {
            Some(1)
        }
        b'x' | b'X' => digits(2),
        b'u' => digits(4),
        b'U' => digits(8),
        b'0'..=b'3' => {
            let octal = |octet: &u8| matches!(octet, b'0'..=b'7');
            rest.get(1..3)?.iter().all(octal).then_some(3)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::with_room;

    fn parsed(source: &str) -> Result<(), String> {
        with_room(|| parse(source).map(drop)).unwrap()
    }

    #[test]
    fn texts_and_comments_make_nothing_deeper() {
        for (source, expected) in [
            ("a.b + c[0]", 3),
            ("'a.b+c' + \"[(\"", 1),
            ("r'\\' + b'.' + '\\'.'", 2),
            ("'''a.'b''' + 1 // .....\n.x", 2),
            ("'not closed ...", 3),
            ("'\\q' + '...'", 4),
            ("bar'..'", 2),
            ("1r'\\' + a.a'", 2),
            ("x'a-' + a.a'", 3),
            ("domain == string", 2),
            ("1 in [2] in [3]", 4),
        ] {
            assert_eq!(links(source), expected, "{source}");
        }
    }

    #[test]
    fn the_deepest_that_is_taken_is_parsed() {
        for (head, step, tail) in [
            ("1", "+1", ""),
            ("a", ".a", ""),
            ("[1]", "[0]", ""),
            ("a", ".a()", ""),
            ("", "-", "1"),
            ("true", "&&true", ""),
            ("1", "<1", ""),
            ("[1]", ".map(x,x)", ""),
            ("has(a", ".a", ")"),
        ] {
            let mut count = MAX_LINKS;
            while links(&format!("{head}{}{tail}", step.repeat(count))) > MAX_LINKS {
                count -= 1;
            }
            let longest = format!("{head}{}{tail}", step.repeat(count));
            assert_eq!(parsed(&longest), Ok(()), "{head} {step}");
            let longer = format!("{head}{}{tail}", step.repeat(count + 1));
            assert!(
                parsed(&longer).unwrap_err().contains("at most 1000"),
                "{head} {step}"
            );
        }
        for (open, close) in [("(", ")"), ("[", "]"), ("{1:", "}"), ("true?1:", "")] {
            let deep = format!("{}1{}", open.repeat(240), close.repeat(240));
            assert_eq!(parsed(&deep), Ok(()), "{open}");
            let deeper = format!("{}1{}", open.repeat(400), close.repeat(400));
            assert!(
                parsed(&deeper)
                    .unwrap_err()
                    .contains("recursion limit exceeded: 250"),
                "{open}"
            );
        }
    }

    #[test]
    fn a_fault_of_the_syntax_is_shown_in_its_place() {
        let fault = parsed("a b").unwrap_err();
        assert_eq!(
            fault,
            "ERROR: <input>:1:3: Syntax error: extraneous input 'b' expecting <EOF>\n | a b\n | ..^"
        );
    }
}
