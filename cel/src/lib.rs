//! The programs of CEL roles: written in the Common Expression Language, they decide on a request for a certificate and say what is in it.
//!
//! The crate is pure: it reads no clock, socket, environment or storage. A program is input of an operator and what it reads is input of
//! anybody with a token, so both are bounded: the length of a source and how deep it goes before it is parsed, every value and all of the
//! work while it runs. What the language's crate does not survive, a panic, is a refusal here.

mod budget;
mod check;
mod environment;
mod fault;
mod functions;
mod input;
mod messages;
mod meter;
mod names;
mod output;
mod program;
mod room;
mod source;
mod url;

pub use crate::budget::GivenUp;
pub use crate::fault::Fault;
pub use crate::input::Inputs;
pub use crate::output::Wanted;
pub use crate::program::{Compiled, Program, Variable};
