//! Issuing and signing through the path table: recorded exchanges of the built-in engine, encodings, storage calls, failing storage,
//! identities, leases, and what anybody may fetch.

mod cel;
mod ends;
mod faults;
mod fetch;
mod forms;
mod identity;
mod jobs;
mod limits;
mod metrics;
mod reasons;
mod replay;
mod support;
mod tidy;
