//! What differs from the built-in engine on purpose: each is stated in
//! `docs/compatibility.md`.
