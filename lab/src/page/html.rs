//! HTML with texts of others in it.
//!
//! What stands in the source of landfast is markup; everything else is text, and is escaped. The types keep them apart: markup is
//! `&'static str`, so nothing that came from outside can be given in its place.

use std::fmt::{self, Write};

/// A document, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of ours.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// A text of whomever, for an element or for a quoted attribute.
    pub(super) fn text(&mut self, text: impl fmt::Display) -> &mut Self {
        // Writing to a String cannot fail.
        let _ = write!(Escaped(&mut self.0), "{text}");
        self
    }

    /// A text between two pieces of markup.
    pub(super) fn put(
        &mut self,
        before: &'static str,
        text: impl fmt::Display,
        after: &'static str,
    ) -> &mut Self {
        self.raw(before).text(text).raw(after)
    }

    /// The finished text.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Writes so that a browser shows what is written and does nothing else with it.
///
/// Characters that end text or an attribute become entities. What cannot be seen or turns the direction of what stands around it is
/// shown by its number, so that no name looks like another, except for blanks and ends of lines.
///
/// Source: HTML standard, "Serialising HTML fragments"; Unicode Standard Annex 9 for the direction.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                ' ' | '\n' | '\t' => self.0.push(c),
                _ if is_hidden(c) => write!(self.0, "{}", c.escape_unicode())?,
                _ => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Controls, marks of direction, and characters without a width.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut html = Html::default();
        html.text(text);
        html.finish()
    }

    /// What a browser makes of it.
    fn shown(html: &str) -> String {
        html.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    }

    #[test]
    fn what_turns_the_direction_or_cannot_be_seen_is_shown() {
        assert_eq!(escaped("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(escaped("a\0b\u{200b}"), "a\\u{0}b\\u{200b}");
        assert_eq!(escaped("knoten-ü-節"), "knoten-ü-節");
    }

    proptest! {
        #[test]
        fn no_text_becomes_markup(text in any::<String>()) {
            let html = escaped(&text);
            prop_assert!(!html.contains(['<', '>', '"', '\'']), "{html}");
            for (at, _) in html.match_indices('&') {
                let entity = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
                prop_assert!(entity.iter().any(|entity| html[at..].starts_with(entity)), "{html}");
            }
            prop_assert!(!html.chars().any(|c| is_hidden(c) && c != '\n' && c != '\t'));
            if !text.chars().any(is_hidden) {
                prop_assert_eq!(shown(&html), text);
            }
        }

        #[test]
        fn whoever_chooses_the_characters(text in "[<>&\"'=/a-z\u{202d}-\u{202e}\0 ;#]{0,40}") {
            let html = escaped(&text);
            prop_assert!(!html.contains(['<', '>', '"', '\'', '\0', '\u{202e}']), "{html}");
        }
    }
}
