//! Reads templates. Source of the language: pkg.go.dev/text/template.

use super::{Expression, FUNCTIONS, Function, Part};

/// How deep parentheses may go.
const DEEPEST: usize = 16;

/// The parts of a template.
///
/// # Errors
/// What is wrong, for the operator who wrote it.
pub(super) fn template(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut trim = false;
    while let Some((before, after)) = rest.split_once("{{") {
        // A dash with a blank takes the blanks of the text beside it away.
        let (before, after) = match after.strip_prefix("- ") {
            Some(after) => (before.trim_end(), after),
            None => (before, after),
        };
        push(&mut parts, before, trim);
        let mut reader = Reader {
            rest: after,
            depth: 0,
        };
        parts.push(Part::Value(reader.pipe()?));
        (rest, trim) = reader.end()?;
    }
    push(&mut parts, rest, trim);
    Ok(parts)
}

fn push(parts: &mut Vec<Part>, text: &str, trim: bool) {
    let text = if trim { text.trim_start() } else { text };
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    /// What stands behind the braces, and whether its blanks are taken away.
    fn end(mut self) -> Result<(&'t str, bool), String> {
        self.skip();
        if let Some(rest) = self.rest.strip_prefix("}}") {
            return Ok((rest, false));
        }
        match self.rest.strip_prefix("-}}") {
            Some(rest) => Ok((rest, true)),
            None => Err(
                "}} is missing, or something stands before it that does not belong there"
                    .to_owned(),
            ),
        }
    }

    fn pipe(&mut self) -> Result<Expression, String> {
        let mut value = self.command(None)?;
        loop {
            self.skip();
            match self.rest.strip_prefix('|') {
                Some(rest) => {
                    self.rest = rest;
                    value = self.command(Some(value))?;
                }
                None => return Ok(value),
            }
        }
    }

    /// A function with its arguments, the value that was piped last of all; or a value by itself.
    fn command(&mut self, piped: Option<Expression>) -> Result<Expression, String> {
        self.skip();
        if let Some(function) = self.function() {
            let mut arguments = Vec::new();
            while let Some(argument) = self.operand()? {
                arguments.push(argument);
            }
            arguments.extend(piped);
            return call(function, arguments);
        }
        let value = self.operand()?.ok_or_else(|| self.unknown())?;
        match (piped, self.operand()?) {
            (None, None) => Ok(value),
            _ => Err("only a function takes values".to_owned()),
        }
    }

    /// One value; `None` at the end of a command.
    fn operand(&mut self) -> Result<Option<Expression>, String> {
        self.skip();
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        Ok(Some(match first {
            '|' | ')' | '}' => return Ok(None),
            '-' if self.rest.starts_with("-}}") => return Ok(None),
            '(' => self.parentheses()?,
            '"' => Expression::Text(self.quoted()?),
            '`' => {
                let raw = self.rest[1..].split_once('`');
                let (text, rest) = raw.ok_or("a text has no end")?;
                self.rest = rest;
                Expression::Text(text.to_owned())
            }
            '-' | '0'..='9' => {
                let digits = |letter: char| letter == '-' || letter.is_ascii_alphanumeric();
                let number = self.take(digits).parse();
                Expression::Number(number.map_err(|_| "a number cannot be read")?)
            }
            '.' => {
                self.rest = &self.rest[1..];
                match self.take(is_word) {
                    "DisplayName" => Expression::DisplayName,
                    "RoleName" => Expression::RoleName,
                    _ => return Err("the fields are .DisplayName and .RoleName".to_owned()),
                }
            }
            _ => match self.function() {
                // Without parentheses it takes no arguments here.
                Some(function) => call(function, Vec::new())?,
                None => return Err(self.unknown()),
            },
        }))
    }

    fn parentheses(&mut self) -> Result<Expression, String> {
        if self.depth == DEEPEST {
            return Err("its parentheses are too deep".to_owned());
        }
        self.depth += 1;
        self.rest = &self.rest[1..];
        let value = self.pipe()?;
        self.skip();
        self.rest = self.rest.strip_prefix(')').ok_or("a ) is missing")?;
        self.depth -= 1;
        Ok(value)
    }

    fn quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut letters = self.rest[1..].char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.rest = &self.rest[at + 2..];
                    return Ok(text);
                }
                '\\' => match letters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    _ => return Err("\\\" and \\\\ are the only escapes of a text".to_owned()),
                },
                '\n' => break,
                other => text.push(other),
            }
        }
        Err("a text has no end".to_owned())
    }

    fn function(&mut self) -> Option<Function> {
        let length = self.rest.find(|letter| !is_word(letter));
        let (name, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        let (_, function, _) = FUNCTIONS.iter().find(|(known, ..)| *known == name)?;
        self.rest = rest;
        Some(*function)
    }

    fn unknown(&self) -> String {
        let known: Vec<_> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
        format!(
            "a value or one of these functions is wanted: {}",
            known.join(", ")
        )
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let length = self.rest.find(|letter| !belongs(letter));
        let (taken, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn call(function: Function, arguments: Vec<Expression>) -> Result<Expression, String> {
    let known = FUNCTIONS.iter().find(|(_, known, _)| *known == function);
    let (name, _, wanted) = known.ok_or("a function is not known")?;
    let right = match function {
        Function::Printf => !arguments.is_empty(),
        _ => arguments.len() == *wanted,
    };
    if right {
        Ok(Expression::Call(function, arguments))
    } else {
        Err(format!(
            "{name} takes {wanted} values, the one before | among them"
        ))
    }
}
