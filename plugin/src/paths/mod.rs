//! Handlers: one file a noun, one function a row of the path table.

pub(crate) mod roles;
pub(crate) mod settings;
