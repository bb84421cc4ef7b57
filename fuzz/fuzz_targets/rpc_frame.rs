//! Frames of CBOR-RPC.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::rig::targets::rpc_frame(bytes);
});
