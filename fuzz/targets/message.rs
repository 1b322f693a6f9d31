//! The message of a request, as it comes over the wire.

#![no_main]

use landfast_sdk::server::request_from_wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = request_from_wire(bytes);
});
