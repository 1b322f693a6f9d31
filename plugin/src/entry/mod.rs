//! What lies in storage: one file a noun, serde structs in the layout of the built-in engine.

pub mod role;
