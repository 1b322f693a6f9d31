//! Compiles `defs/*.proto` without protoc: protox parses, tonic-prost-build writes the Rust.

use std::error::Error;

const FILES: &[&str] = &[
    "go_plugin.proto",
    "multiplexing.proto",
    "logical.proto",
    "backend.proto",
    "wrapping.proto",
    "wrapper.proto",
    "kms.proto",
    "metadata.proto",
    "database.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=defs");
    let descriptors = protox::compile(FILES, ["defs"])?;
    // A value that is stored may be megabytes, and is kept by who writes it until the write has ended; so may be an answer that is kept for the next
    // who asks.
    tonic_prost_build::configure()
        .bytes(".pb.StorageEntry.value")
        .bytes(".pb.Response.data")
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
