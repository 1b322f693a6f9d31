//! What can be wrong with a program, in the words of the built-in engine where it has some.

use cel::ExecutionError;

/// Why a program was not taken, or came to nothing. The text is for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(shortened(text.into()))
    }

    /// Puts the place where it happened before it.
    pub(crate) fn within(self, place: impl std::fmt::Display) -> Self {
        Self::new(format!("{place}: {}", self.0))
    }
}

/// How much of the beginning and of the end of a text is told, in octets: a source is quoted in it, once for every error of its syntax.
const MOST: usize = 8 << 10;

fn shortened(text: String) -> String {
    if text.len() <= 2 * MOST {
        return text;
    }
    let head = &text[..text.floor_char_boundary(MOST)];
    let tail = &text[text.ceil_char_boundary(text.len() - MOST)..];
    format!("{head}…{tail}")
}

/// What was wrong while an expression was evaluated, in the words of cel-go.
pub(crate) fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::UndeclaredReference(name) => format!(
            "no such attribute(s): {}",
            crate::names::candidates(name).join(", ")
        ),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(index) => match index {
            cel::Value::Int(at) => format!("index out of bounds: {at}"),
            _ => "index out of bounds".to_owned(),
        },
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedIndex(..)
        | ExecutionError::UnsupportedKeyType(_)
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::NotSupportedAsMethod { .. }
        | ExecutionError::InvalidArgumentCount { .. } => "no such overload".to_owned(),
        ExecutionError::FunctionError { function, message } => {
            if message.starts_with("string parse error") {
                return format!("type conversion error from 'string' to '{function}'");
            }
            message.replacen("Type conversion", "type conversion", 1)
        }
        ExecutionError::InternalError(text) => text.clone(),
        // These quote whole values.
        ExecutionError::DuplicateKey(_) => "a key of a map is there twice".to_owned(),
        _ => "the expression cannot be evaluated".to_owned(),
    }
}

/// An error of a function of ours, which is told as it stands.
pub(crate) fn error(text: impl Into<String>) -> ExecutionError {
    ExecutionError::InternalError(text.into())
}
