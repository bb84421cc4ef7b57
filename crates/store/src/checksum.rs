//! A checksum of migrations: it has to notice edits, not attacks.

/// FNV-1a.
pub(crate) fn checksum(text: &str) -> i64 {
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix).cast_signed()
}
