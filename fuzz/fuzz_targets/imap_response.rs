//! Responses of mail servers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::rig::targets::imap_response(bytes);
});
