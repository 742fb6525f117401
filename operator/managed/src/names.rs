//! Names and hashes. A name in AWS is `<prefix>-<namespace>-<name>-<hash>`, the same for as long as the object has its own.

use sha2::{Digest, Sha256};

use super::AwsPolicy;

/// Eight hexadecimal digits that stand for `bytes`.
pub fn short_hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    data_encoding::HEXLOWER.encode(digest.get(..4).unwrap_or_default())
}

/// The hash in the names of an object's things: it tells a-b/c from a/b-c, and one cluster's object from another's.
pub fn identity(policy: &AwsPolicy, namespace: &str, name: &str) -> String {
    short_hash(format!("{}\0{namespace}\0{name}", policy.cluster_name).as_bytes())
}
