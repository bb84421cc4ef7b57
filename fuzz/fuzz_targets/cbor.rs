//! Data dictionaries in CBOR.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::rig::targets::cbor(bytes);
});
