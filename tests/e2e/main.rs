//! End to end: real servers, the built binary, real clients.
//!
//! One test program, so that it is linked once. Each test starts the servers
//! it needs on free ports of 127.0.0.1 and ends them.

mod acme;
mod bad_input;
mod clients;
mod compat;
mod dist;
mod ends;
mod est;
mod failover;
mod generate;
mod hybrid_node;
mod kill;
mod lab;
mod large_answers;
mod lifecycle;
mod lint;
mod log_style;
mod machine_auth;
mod nobody_waits;
mod node;
mod own_server;
mod pages;
mod policies;
mod ports;
mod process;
mod public;
mod reasons;
mod register;
mod rotation;
mod seal;
mod service_users;
mod sessions;
mod sqlite_database;
mod standby;
mod support;
mod trust_anchor;
mod vault_config;
mod version;
mod way_back;
