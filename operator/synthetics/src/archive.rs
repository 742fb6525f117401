//! Packing what a canary runs.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A zip file, and the hash of what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    pub bytes: Vec<u8>,
    /// SHA-256 of names and contents, hexadecimal: the same for the same files, whatever packs them.
    pub hash: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the canary's code can't be packed: {0}")]
pub struct ArchiveError(#[from] zip::result::ZipError);

/// Packs `files` (path and content). Neither the time nor the order of making shows in the bytes.
///
/// # Errors
/// When a path is one that a zip file can't have.
pub fn archive(files: &BTreeMap<String, Vec<u8>>) -> Result<Archive, ArchiveError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut hash = Sha256::new();
    for (path, content) in files {
        zip.start_file(path.as_str(), options)?;
        zip.write_all(content).map_err(zip::result::ZipError::from)?;
        for part in [path.as_bytes(), content] {
            // Lengths keep apart what would run together.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
    }
    let bytes = zip.finish()?.into_inner();
    let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Archive { bytes, hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        of.iter().map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec())).collect()
    }

    #[test]
    fn the_same_files_are_the_same_bytes_and_others_aren_t() {
        let one = archive(&files(&[("b.js", "2"), ("a.js", "1")])).unwrap();
        assert_eq!(one, archive(&files(&[("a.js", "1"), ("b.js", "2")])).unwrap());
        for other in
            [&[("a.js", "1"), ("b.js", "3")][..], &[("a.js", "1"), ("c.js", "2")], &[("a.js", "1b.js2")]]
        {
            assert_ne!(archive(&files(other)).unwrap().hash, one.hash, "{other:?}");
        }
    }
}
