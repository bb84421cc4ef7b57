//! Requests of CBOR-RPC, as they stand in a frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::rig::targets::rpc_call(bytes);
});
