//! OCSP at the public front door: a request in a body or a path is read and written the same, and an answer of a mount is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    landfast_public::fuzz::ocsp_question(data);
    landfast_public::fuzz::ocsp_answer(data);
});
