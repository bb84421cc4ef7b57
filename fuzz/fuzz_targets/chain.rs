//! The `output` of finished units.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::rig::targets::chain(bytes);
});
