//! Data dictionaries in JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::rig::targets::json(bytes);
});
