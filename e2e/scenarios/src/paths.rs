//! Where the repository's files and the built binaries are.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The repository this was built from.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).components().collect::<PathBuf>().join("../..")
}

/// A file of `e2e/manifests`.
pub fn manifest(name: &str) -> PathBuf {
    repository().join("e2e/manifests").join(name)
}

/// A chart's directory.
pub fn chart(name: &str) -> PathBuf {
    repository().join("charts").join(name)
}

/// A built binary: in `$TIDEWATCH_BIN_DIR`, else beside this program (a test runs from `deps` below it).
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let directory = match std::env::var_os("TIDEWATCH_BIN_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => beside_this_program()?,
    };
    let path = directory.join(name);
    if !path.is_file() {
        bail!(
            "{} isn't there: run `cargo build --workspace --bins`, or set TIDEWATCH_BIN_DIR to where the binaries are",
            path.display()
        );
    }
    Ok(path)
}

fn beside_this_program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("this program's own path")?;
    let directory = program.parent().context("this program has no directory")?;
    let built_in = if directory.ends_with("deps") { directory.parent() } else { Some(directory) };
    built_in.map(Path::to_path_buf).context("the target directory")
}
