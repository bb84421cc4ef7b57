//! The format `ar`, which a Debian package is.

use std::io::{Result, Write};

/// Writes files with their names, in order, as of one time and of root.
pub(super) fn write(to: &mut impl Write, files: &[(&str, Vec<u8>)]) -> Result<()> {
    to.write_all(b"!<arch>\n")?;
    for (name, bytes) in files {
        // Name, time, owner, group, mode and size, each padded to its width.
        let size = bytes.len();
        writeln!(to, "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`", 0, 0, 0, "100644")?;
        to.write_all(bytes)?;
        if size % 2 == 1 {
            to.write_all(b"\n")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn headers_have_sixty_bytes_and_files_begin_at_even_ones() {
        let mut bytes = Vec::new();
        let files = [("a", b"one".to_vec()), ("b.tar.gz", b"four".to_vec())];
        super::write(&mut bytes, &files).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.len(), 8 + 60 + 4 + 60 + 4);
        assert!(text.starts_with("!<arch>\na               0           0     0     100644  3"));
        assert_eq!(&text[66..72], "`\none\n");
        assert_eq!(&text[72..80], "b.tar.gz");
        assert!(text.ends_with("`\nfour"));
    }
}
