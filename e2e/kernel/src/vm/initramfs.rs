//! A guest's file system: a cpio archive (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use super::modules;
use super::packages::Kernel;
use crate::agent;

/// Tools that the tests call. busybox isn't used, since its `timeout` and `sh` would run its own `ip`.
const TOOLS: [&str; 10] =
    ["cat", "ip", "nft", "nsenter", "setpriv", "sh", "sleep", "ss", "sysctl", "timeout"];
const DIRECTORIES: [&str; 13] = [
    "bin",
    "dev",
    "proc",
    "sys",
    "tmp",
    "run",
    "usr",
    "usr/bin",
    "modules",
    "tests",
    "tests/deps",
    "etc",
    "root",
];

/// Writes the file system for a kernel and these files of tests, and returns its path.
pub(super) fn build(kernel: &Kernel, tests: &[&str]) -> Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("tidewatch-initramfs-{}", std::process::id()));
    let mut archive = Archive::create(&path)?;
    for directory in DIRECTORIES {
        archive.directory(directory)?;
    }
    let mut programs = Vec::new();
    for tool in TOOLS {
        programs.push((find_tool(tool)?, format!("usr/bin/{tool}")));
    }
    let agent = agent::binary()?;
    let beside = agent.parent().context("the agent has no directory")?;
    programs.push((beside.join("kernel-guest"), "init".to_owned()));
    programs.push((beside.join("kernel-traffic"), "tests/kernel-traffic".to_owned()));
    for test in tests {
        programs.push((newest_test(&beside.join("deps"), test)?, format!("tests/deps/{test}")));
    }
    programs.push((agent, "tests/tidewatch-agent".to_owned()));
    let mut libraries = BTreeSet::new();
    for (program, to) in &programs {
        archive.file(to, 0o755, &without_symbols(program)?)?;
        libraries.extend(libraries_of(program)?);
    }
    for library in libraries {
        archive.file_with_parents(&library, &read(&library)?)?;
    }
    for (number, module) in modules::needed(&kernel.modules)?.iter().enumerate() {
        archive.file(&format!("modules/{number:03}-{}.ko", module.name), 0o644, &module.content)?;
    }
    archive.finish()?;
    Ok(path)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read {}", path.display()))
}

fn find_tool(name: &str) -> Result<PathBuf> {
    let directories = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let found = directories.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
    found.with_context(|| {
        format!("{name} is missing: install the packages of e2e/apt-packages.txt (make deps)")
    })
}

/// The newest binary of a file of tests: cargo leaves those of earlier builds beside it.
fn newest_test(deps: &Path, name: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(deps).with_context(|| format!("could not read {}", deps.display()))?;
    let is_it = |path: &PathBuf| {
        let stem = path.file_name().and_then(|file| file.to_str()).and_then(|file| file.strip_prefix(name));
        stem.is_some_and(|stem| stem.starts_with('-') && !stem.contains('.'))
    };
    let built =
        |path: &PathBuf| fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let newest = entries.flatten().map(|entry| entry.path()).filter(is_it).max_by_key(built);
    newest.with_context(|| format!("the tests {name} are not built: run `make build`"))
}

/// The program without its debugging information, which makes up most of its size.
fn without_symbols(program: &Path) -> Result<Vec<u8>> {
    let stripped = std::env::temp_dir().join(format!("tidewatch-stripped-{}", std::process::id()));
    let status = Command::new("strip").arg("-o").arg(&stripped).arg(program).status();
    ensure!(status.context("could not start strip")?.success(), "strip failed on {}", program.display());
    let content = read(&stripped);
    fs::remove_file(&stripped)?;
    content
}

/// The shared libraries that a program needs, the loader included, by `ldd`.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("could not start ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let path =
        |line: &str| line.split_ascii_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    Ok(text.lines().filter_map(path).collect())
}

/// A cpio archive in the format "newc".
struct Archive {
    file: BufWriter<File>,
    length: usize,
    entries: u32,
    directories: BTreeSet<PathBuf>,
}

impl Archive {
    fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("could not create {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file), length: 0, entries: 0, directories: BTreeSet::new() })
    }

    fn directory(&mut self, name: &str) -> Result<()> {
        self.directories.insert(PathBuf::from(name));
        self.entry(name, 0o040_755, &[])
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entry(name, 0o100_000 | mode, content)
    }

    /// A file at its own path, below directories that may have to be made first.
    fn file_with_parents(&mut self, path: &Path, content: &[u8]) -> Result<()> {
        let relative = path.strip_prefix("/").unwrap_or(path).to_owned();
        let mut parents: Vec<&Path> = relative.ancestors().skip(1).collect();
        parents.reverse();
        for parent in parents.into_iter().filter(|parent| !parent.as_os_str().is_empty()) {
            if !self.directories.contains(parent) {
                self.directory(&parent.to_string_lossy())?;
            }
        }
        self.file(&relative.to_string_lossy(), 0o755, content)
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entries += 1;
        let inode = self.entries;
        let (size, name_size) = (content.len(), name.len() + 1);
        // Magic, inode, mode, uid, gid, links, mtime, size, device (2), special device (2), length of the name, checksum.
        let header = format!(
            "070701{inode:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}{:08x}{:08x}{:08x}{:08x}{name_size:08x}{:08x}",
            0, 0, 1, 0, 0, 0, 0, 0, 0
        );
        self.write(header.as_bytes())?;
        self.write(name.as_bytes())?;
        self.write(&[0])?;
        self.pad()?;
        self.write(content)?;
        self.pad()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.length += bytes.len();
        self.file.write_all(bytes).context("could not write the initramfs")
    }

    fn pad(&mut self) -> Result<()> {
        let missing = self.length.next_multiple_of(4) - self.length;
        self.write([0; 3].get(..missing).unwrap_or_default())
    }

    fn finish(mut self) -> Result<()> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.file.flush().context("could not write the initramfs")
    }
}
