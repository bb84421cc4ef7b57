//! Mail servers' names for folders.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::rig::targets::imap_folder(bytes);
});
