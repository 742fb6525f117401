//! Kernels from Debian's packages, unpacked and never installed. apt works in a root of its own, so that the machine's
//! own sources stay as they are.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::cache;

/// A kernel that the agent is tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Too old for the agent.
    Linux5_10,
    Linux6_1,
    Linux6_12,
    Linux6_16,
    Linux7,
}

/// Source of a release: Debian's suite, and the names of its packages.
struct Source {
    /// Debian's suite, as in a line of sources.list.
    suite: &'static str,
    /// Names of its packages, up to the version. From 6.19 on there are two: the image's own only depends on them.
    packages: &'static [&'static str],
    version: &'static str,
    /// Suffix of these names, after the version.
    suffix: &'static str,
}

impl Release {
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux5_10 => "5.10",
            Self::Linux6_1 => "6.1",
            Self::Linux6_12 => "6.12",
            Self::Linux6_16 => "6.16",
            Self::Linux7 => "7",
        }
    }

    fn source(self) -> Source {
        let image: &[&str] = &["linux-image-"];
        let (suite, packages, version, suffix) = match self {
            Self::Linux5_10 => ("bullseye", image, "5.10.", "-amd64"),
            Self::Linux6_1 => ("bookworm", image, "6.1.", "-amd64"),
            Self::Linux6_12 => ("trixie", image, "6.12.", "-amd64"),
            Self::Linux6_16 => ("trixie-backports", image, "6.16.", "-amd64"),
            Self::Linux7 => {
                let parts: &[&str] = &["linux-modules-", "linux-binary-"];
                ("trixie-backports", parts, "7.", "-amd64")
            }
        };
        Source { suite, packages, version, suffix }
    }
}

/// An unpacked kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    /// To be booted.
    pub(super) image: PathBuf,
    /// Directory with the modules, at any depth.
    pub(super) modules: PathBuf,
}

/// Returns a kernel from the cache, or gets it first.
pub(super) fn kernel(release: Release) -> Result<Kernel> {
    let directory = cache()?.join(release.name());
    if !directory.exists() {
        let unpacked = directory.with_extension(format!("{}.part", std::process::id()));
        fs::create_dir_all(&unpacked)?;
        get(&release.source(), &unpacked)
            .with_context(|| format!("could not get Linux {} from Debian", release.name()))?;
        fs::rename(&unpacked, &directory)?;
    }
    let image = find(&directory, |name| name.starts_with("vmlinuz")).context("no vmlinuz in the packages")?;
    Ok(Kernel { image, modules: directory })
}

fn get(source: &Source, into: &Path) -> Result<()> {
    let apt = Apt::new(&into.join("apt"), source.suite)?;
    let (Some(first), rest) = (source.packages.first(), source.packages.get(1..).unwrap_or_default()) else {
        bail!("no package is named");
    };
    let newest = apt.newest(&format!("{first}{}", source.version), source.suffix)?;
    let version = newest.strip_prefix(first).context("another package was found")?;
    let packages = rest.iter().map(|package| format!("{package}{version}"));
    for package in std::iter::once(newest.clone()).chain(packages) {
        apt.unpack(&package, into)?;
    }
    fs::remove_dir_all(into.join("apt")).context("could not remove apt's root")
}

/// apt with state, cache and sources of its own.
struct Apt {
    root: PathBuf,
}

impl Apt {
    fn new(root: &Path, suite: &str) -> Result<Self> {
        for directory in ["lists/partial", "archives/partial", "parts", "debs"] {
            fs::create_dir_all(root.join(directory))?;
        }
        fs::write(root.join("status"), "")?;
        fs::write(root.join("sources.list"), format!("deb {} {suite} main\n", mirror()?))?;
        let apt = Self { root: root.to_owned() };
        let mut update = apt.command("apt-get");
        update.args(["-q", "update"]);
        output(&mut update)?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["300", program]).current_dir(self.root.join("debs"));
        for (option, path) in [
            ("Dir::State", "."),
            ("Dir::State::lists", "lists"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "."),
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::Etc::sourceparts", "parts"),
            ("Dir::Etc::preferencesparts", "parts"),
        ] {
            command.arg("-o").arg(format!("{option}={}", self.root.join(path).display()));
        }
        command.args(["-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root"]);
        command
    }

    /// The package with the highest version among those whose names begin and end so.
    fn newest(&self, prefix: &str, suffix: &str) -> Result<String> {
        let mut search = self.command("apt-cache");
        search.args(["pkgnames", prefix]);
        let names = output(&mut search)?;
        // Without the flavours (rt, cloud), which have a word of their own before the architecture.
        let plain = names.lines().filter(|name| {
            let middle = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix));
            middle.is_some_and(|middle| !middle.contains("-rt") && !middle.contains("-cloud"))
        });
        let newest = plain.max_by(|a, b| by_numbers(a, b));
        newest.map(str::to_owned).with_context(|| format!("Debian has no package {prefix}*{suffix}"))
    }

    fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        let mut download = self.command("apt-get");
        download.args(["-q", "download", package]);
        output(&mut download)?;
        let file = find(&self.root.join("debs"), |name| name.starts_with(package));
        let file = file.with_context(|| format!("apt-get downloaded no {package}"))?;
        output(Command::new("dpkg").arg("-x").arg(file).arg(into))?;
        Ok(())
    }
}

/// URL of the mirror that this machine gets Debian from.
fn mirror() -> Result<String> {
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]);
    let said = output(&mut targets)?;
    let mirror = said.lines().find_map(|line| line.strip_prefix("Debian "));
    mirror.map(str::to_owned).context("apt-get indextargets names no mirror of Debian: run apt-get update")
}

/// Compares the numbers in two names, one after the other: 6.12.9 is before 6.12.10.
fn by_numbers(a: &str, b: &str) -> Ordering {
    let numbers = |name: &str| -> Vec<u64> {
        name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    };
    numbers(a).cmp(&numbers(b))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("could not start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first file below a directory whose name is as wanted.
pub(super) fn find(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).ok()?.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(path);
            } else if entry.file_name().to_str().is_some_and(&is_wanted) {
                return Some(path);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let names = ["linux-image-6.12.9+deb13-amd64", "linux-image-6.12.107+deb13-amd64"];
        assert_eq!(names.iter().max_by(|a, b| by_numbers(a, b)), Some(&names[1]));
    }
}
