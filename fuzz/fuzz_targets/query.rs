//! Queries, as the native door takes them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::rig::targets::query(bytes);
});
