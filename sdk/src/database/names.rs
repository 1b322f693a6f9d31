//! Names of users, by templates as the server's own database plugins take them.
//!
//! A template is text with `{{ ... }}` in it, of Go's language of templates what names need: fields, functions and pipes. `.DisplayName` is the
//! display name of the token that asks and `.RoleName` the role; what in them is no letter, digit, `_`, `-`, `.` or `@` becomes `_`, since names end
//! up in statements.

use std::time::{SystemTime, UNIX_EPOCH};

use landfast_base::{fill, hex, random, sha256, uuid};

use crate::logical::{Error, Result};

mod parse;

/// Longest template, in octets.
pub const LONGEST_TEMPLATE: usize = 4 << 10;
/// Longest text that a template may make on its way, in octets.
const LONGEST_TEXT: usize = 4 << 10;
/// The template of connections without one.
const DEFAULT: &str = concat!(
    "{{ printf \"v_%s_%s_%s_%s\" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) ",
    "| truncate 63 }}"
);

/// Makes the names of users.
///
/// | function | what it gives |
/// | --- | --- |
/// | `random N` | N random letters and digits |
/// | `truncate N`, `truncate_sha256 N` | at most N letters of the text; the latter puts 8 digits of a digest in the place of what it cuts off |
/// | `uppercase`, `lowercase`, `replace OLD NEW` | the text in other letters |
/// | `sha256`, `base64`, `hex` | the text in other forms |
/// | `unix_time`, `unix_time_millis`, `uuid` | what no other name has |
/// | `printf FORMAT ...` | texts (`%s`, `%v`) and numbers (`%d`, `%v`) in a text |
#[derive(Debug)]
pub struct UserNames(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Value(Expression),
}

#[derive(Debug, PartialEq)]
enum Expression {
    Text(String),
    Number(i64),
    DisplayName,
    RoleName,
    /// The value of a pipe is the last argument of what follows.
    Call(Function, Vec<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Printf,
    Random,
    Truncate,
    TruncateSha256,
    Uppercase,
    Lowercase,
    Replace,
    Sha256,
    Base64,
    Hex,
    UnixTime,
    UnixTimeMillis,
    Uuid,
}

/// All functions by name, with the number of their arguments; `printf` takes one or more.
const FUNCTIONS: [(&str, Function, usize); 13] = [
    ("printf", Function::Printf, 1),
    ("random", Function::Random, 1),
    ("truncate", Function::Truncate, 2),
    ("truncate_sha256", Function::TruncateSha256, 2),
    ("uppercase", Function::Uppercase, 1),
    ("lowercase", Function::Lowercase, 1),
    ("replace", Function::Replace, 3),
    ("sha256", Function::Sha256, 1),
    ("base64", Function::Base64, 1),
    ("hex", Function::Hex, 1),
    ("unix_time", Function::UnixTime, 0),
    ("unix_time_millis", Function::UnixTimeMillis, 0),
    ("uuid", Function::Uuid, 0),
];

enum Value {
    Text(String),
    Number(i64),
}

impl UserNames {
    /// Names by a template, such as the field `username_template` of the server's own plugins; an empty one stands for
    /// `v_DISPLAYNAME_ROLE_RANDOM_TIME`, in 63 letters at most.
    ///
    /// # Errors
    /// The template cannot be read, or makes no name.
    pub fn of(template: &str) -> Result<Self> {
        if template.len() > LONGEST_TEMPLATE {
            return Err(wrong(&format!(
                "it has more than {LONGEST_TEMPLATE} octets"
            )));
        }
        let template = if template.is_empty() {
            DEFAULT
        } else {
            template
        };
        let names = Self(parse::template(template).map_err(|why| wrong(&why))?);
        // What fails for these fails for others.
        names.of_user("token", "role")?;
        Ok(names)
    }

    /// A name for a user of this role, asked for by a token of this display name.
    pub(super) fn of_user(&self, display_name: &str, role_name: &str) -> Result<String> {
        let of = Of {
            display_name: plain(display_name),
            role_name: plain(role_name),
        };
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Value(expression) => match of.value(expression).map_err(|why| wrong(&why))? {
                    Value::Text(text) => name.push_str(&text),
                    Value::Number(number) => name.push_str(&number.to_string()),
                },
            }
        }
        if name.is_empty() {
            return Err(wrong("it makes an empty name"));
        }
        Ok(name)
    }
}

impl Default for UserNames {
    fn default() -> Self {
        Self(parse::template(DEFAULT).expect("a test reads it"))
    }
}

fn wrong(why: &str) -> Error {
    Error::bad_request(format!("username_template: {why}"))
}

fn plain(name: &str) -> String {
    let harmless = |letter: &char| letter.is_ascii_alphanumeric() || "_-.@".contains(*letter);
    let plain = |letter: char| if harmless(&letter) { letter } else { '_' };
    name.chars().take(LONGEST_TEXT).map(plain).collect()
}

/// For whom a name is made.
struct Of {
    display_name: String,
    role_name: String,
}

impl Of {
    fn value(&self, expression: &Expression) -> Result<Value, String> {
        Ok(match expression {
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Number(number) => Value::Number(*number),
            Expression::DisplayName => Value::Text(self.display_name.clone()),
            Expression::RoleName => Value::Text(self.role_name.clone()),
            Expression::Call(function, arguments) => {
                let arguments = arguments.iter().map(|argument| self.value(argument));
                let text = call(*function, arguments.collect::<Result<Vec<_>, _>>()?)?;
                if text.len() > LONGEST_TEXT {
                    return Err(format!(
                        "it makes a text of more than {LONGEST_TEXT} octets"
                    ));
                }
                Value::Text(text)
            }
        })
    }
}

fn call(function: Function, arguments: Vec<Value>) -> Result<String, String> {
    let mut arguments = Arguments(arguments.into_iter());
    Ok(match function {
        Function::Printf => {
            let format = arguments.text()?;
            printf(&format, arguments)?
        }
        Function::Random => letters(arguments.length(1)?)?,
        Function::Truncate => {
            let (most, text) = (arguments.length(1)?, arguments.text()?);
            text[..text.floor_char_boundary(most)].to_owned()
        }
        Function::TruncateSha256 => {
            let (most, text) = (arguments.length(9)?, arguments.text()?);
            if text.len() <= most {
                return Ok(text);
            }
            let (kept, rest) = text.split_at(text.floor_char_boundary(most - 8));
            format!("{kept}{}", &hex(&sha256(rest.as_bytes()))[..8])
        }
        Function::Uppercase => arguments.text()?.to_uppercase(),
        Function::Lowercase => arguments.text()?.to_lowercase(),
        Function::Replace => {
            let (old, new) = (arguments.text()?, arguments.text()?);
            let text = arguments.text()?;
            if text.len().saturating_add(1).saturating_mul(new.len() + 1) > LONGEST_TEXT * 64 {
                return Err("what it replaces makes too long a text".to_owned());
            }
            text.replace(&old, &new)
        }
        Function::Sha256 => hex(&sha256(arguments.text()?.as_bytes())),
        Function::Base64 => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(arguments.text()?)
        }
        Function::Hex => hex(arguments.text()?.as_bytes()),
        Function::UnixTime => since_1970().as_secs().to_string(),
        Function::UnixTimeMillis => since_1970().as_millis().to_string(),
        Function::Uuid => {
            let mut octets = random::<16>().map_err(|error| error.to_string())?;
            // Version 4 (RFC 9562 section 5.4).
            octets[6] = octets[6] & 0x0f | 0x40;
            octets[8] = octets[8] & 0x3f | 0x80;
            uuid(&octets)
        }
    })
}

struct Arguments(std::vec::IntoIter<Value>);

impl Arguments {
    fn text(&mut self) -> Result<String, String> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Number(number)) => Err(format!("{number} stands where a text is wanted")),
            None => Err("a function has too few arguments".to_owned()),
        }
    }

    /// A length that is a number from `least` on.
    fn length(&mut self, least: usize) -> Result<usize, String> {
        let wanted = || format!("a length must be a number from {least} to {LONGEST_TEXT}");
        match self.0.next() {
            Some(Value::Number(number)) => usize::try_from(number)
                .ok()
                .filter(|length| (least..=LONGEST_TEXT).contains(length))
                .ok_or_else(wanted),
            _ => Err(wanted()),
        }
    }
}

fn printf(format: &str, arguments: Arguments) -> Result<String, String> {
    let mut arguments = arguments.0;
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let verb = letters.next();
        if verb == Some('%') {
            text.push('%');
            continue;
        }
        match (verb, arguments.next()) {
            (Some('s' | 'v'), Some(Value::Text(value))) => text.push_str(&value),
            (Some('d' | 'v'), Some(Value::Number(value))) => text.push_str(&value.to_string()),
            (Some('s' | 'd' | 'v'), None) => return Err("printf has too few arguments".to_owned()),
            _ => {
                return Err(
                    "printf takes %s, %d, %v and %%, each with a value of its kind".to_owned(),
                );
            }
        }
    }
    if arguments.next().is_some() {
        return Err("printf has too many arguments".to_owned());
    }
    Ok(text)
}

/// Random letters and digits, each as likely as the others.
fn letters(count: usize) -> Result<String, String> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(count);
    let mut octets = [0; 64];
    while text.len() < count {
        fill(&mut octets).map_err(|error| error.to_string())?;
        let fair = octets.iter().filter(|octet| **octet < 248);
        let wanted = count - text.len();
        text.extend(
            fair.take(wanted)
                .map(|octet| char::from(LETTERS[usize::from(octet % 62)])),
        );
    }
    Ok(text)
}

fn since_1970() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
