//! Short hashes, for names and tags.

use sha2::{Digest, Sha256};

/// Eight hexadecimal digits that stand for `bytes`.
pub(in crate::controllers) fn short_hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    data_encoding::HEXLOWER.encode(digest.get(..4).unwrap_or_default())
}
