//! The kernel modules that the tests need, in the order in which they can be loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::packages::find;

/// Modules for pairs of interfaces, for packet filters with all expressions of the tests' rules, for connection
/// tracking and for `ss`. libcrc32c requests the first one by an alias, without a dependency on it.
const NEEDED: [&str; 15] = [
    "crc32c_generic",
    "veth",
    "nf_tables",
    "nft_ct",
    "nft_numgen",
    "nft_reject_inet",
    "nft_chain_nat",
    "nft_nat",
    "nft_redir",
    "nf_conntrack_netlink",
    "inet_diag",
    "tcp_diag",
    "nf_reject_ipv4",
    "nf_reject_ipv6",
    "nft_masq",
];

/// A module, uncompressed.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// Finds the needed modules below a directory, with those that they depend on. A module that isn't there is part of the
/// kernel's image.
pub(super) fn needed(directory: &Path) -> Result<Vec<Module>> {
    let mut modules = Vec::new();
    for name in NEEDED {
        add(directory, name, &mut modules)?;
    }
    ensure!(!modules.is_empty(), "no modules below {}", directory.display());
    Ok(modules)
}

fn add(directory: &Path, name: &str, modules: &mut Vec<Module>) -> Result<()> {
    if modules.iter().any(|module| module.name == name) {
        return Ok(());
    }
    // A file's name has dashes where the module's has underscores.
    let is_wanted = |file: &str| {
        let stem = file.strip_suffix(".ko").or_else(|| file.strip_suffix(".ko.xz"));
        stem.is_some_and(|stem| stem.replace('-', "_") == name)
    };
    let Some(path) = find(directory, is_wanted) else { return Ok(()) };
    let content = read(&path)?;
    for dependency in dependencies(&content) {
        add(directory, &dependency, modules)?;
    }
    modules.push(Module { name: name.to_owned(), content });
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<u8>> {
    if path.extension().is_some_and(|extension| extension == "ko") {
        return fs::read(path).with_context(|| format!("could not read {}", path.display()));
    }
    let output = Command::new("xz").arg("-dc").arg(path).output().context("could not start xz")?;
    ensure!(output.status.success(), "{} could not be decompressed", path.display());
    Ok(output.stdout)
}

/// Names of the modules that a module depends on, from its section .modinfo, whose entries are `key=value` and end in a
/// NUL.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let at = module.windows(KEY.len()).position(|window| window == KEY);
    let value = at.and_then(|at| module.get(at + KEY.len()..)?.split(|&byte| byte == 0).next());
    let names = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_depends_on_is_read_from_it() {
        let module = b"\x7fELF\0license=GPL\0depends=nf-tables,libcrc32c\0name=x\0";
        assert_eq!(dependencies(module), ["nf_tables", "libcrc32c"]);
        assert_eq!(dependencies(b"license=GPL\0depends=\0name=x\0"), Vec::<String>::new());
        assert_eq!(dependencies(b"\0depends="), Vec::<String>::new());
    }
}
