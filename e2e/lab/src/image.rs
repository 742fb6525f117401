//! Images from binaries, without a registry and without a container engine: a docker archive is two tar files and two JSON files.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::command::Cmd;
use crate::debian;
use crate::error::{Error, Result};

/// The image of the pods' sandboxes.
pub(crate) const PAUSE_IMAGE: &str = "tidewatch.local/pause:dev";
/// The image of the cluster's DNS.
pub(crate) const COREDNS_IMAGE: &str = "tidewatch.local/coredns:dev";
/// Limit for packing or copying an image's files.
const TAR_LIMIT: Duration = Duration::from_secs(120);

/// What goes into an image built from scratch: binaries at `/<file name>` with the shared libraries that `ldd` lists, and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// `tidewatch.local/shop:dev`.
    pub name: String,
    /// Binaries; the first is the entry point. Debug information is left out of the copy.
    pub binaries: Vec<PathBuf>,
    /// Files: (on this machine, absolute path in the image).
    pub files: Vec<(PathBuf, String)>,
    /// A directory whose content is the image's file system, before all else.
    pub root: Option<PathBuf>,
}

impl ImageSpec {
    /// An image of one binary.
    pub fn new(name: impl Into<String>, binary: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), binaries: vec![binary.into()], files: vec![], root: None }
    }

    /// An image of a whole file system, such as [`crate::debian::root`]. It has no entry point: pods say what they run.
    pub fn of_root(name: impl Into<String>, root: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), binaries: vec![], files: vec![], root: Some(root.into()) }
    }

    /// Builds the image and returns the archive, which lies in `directory`.
    ///
    /// # Errors
    /// When a file is missing or a tool fails.
    pub(crate) fn build(&self, directory: &Path) -> Result<PathBuf> {
        let work =
            tempfile::tempdir_in(directory).map_err(Error::file("making a directory in", directory))?;
        let root = work.path().join("root");
        let entry = match self.fill(&root)? {
            Some(entry) => json!({"Entrypoint": [entry], "Env": ["PATH=/"]}),
            None => json!({"Env": [format!("PATH={}", debian::PATH)]}),
        };

        let layer = work.path().join("layer.tar");
        tar(&root, &layer, &["."])?;
        let digest = sha256(&layer)?;
        let config = json!({
            "architecture": docker_architecture(),
            "os": "linux",
            "config": entry,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        });
        let manifest = json!([{"Config": "config.json", "RepoTags": [self.name], "Layers": ["layer.tar"]}]);
        for (name, content) in [("config.json", config), ("manifest.json", manifest)] {
            let path = work.path().join(name);
            fs::write(&path, content.to_string()).map_err(Error::file("writing", path))?;
        }
        let archive = directory.join(format!("{}.tar", self.name.replace(['/', ':'], "_")));
        let new = work.path().join("image.tar");
        tar(work.path(), &new, &["manifest.json", "config.json", "layer.tar"])?;
        fs::rename(&new, &archive).map_err(Error::file("replacing", &archive))?;
        Ok(archive)
    }

    /// Lays the image's files out and returns the entry point, if there is one.
    fn fill(&self, root: &Path) -> Result<Option<String>> {
        if let Some(from) = &self.root {
            Cmd::new("cp")
                .args(["-a", "--reflink=auto"])
                .args([from.as_path(), root])
                .limit(TAR_LIMIT)
                .run()?;
        }
        let mut entry = None;
        let mut libraries = BTreeSet::new();
        // /tmp and /etc are there for programs that expect them; the kubelet mounts its files into /etc.
        for directory in ["tmp", "etc", "dev", "proc", "sys"] {
            make_directory(&root.join(directory))?;
        }
        for binary in &self.binaries {
            let name = binary
                .file_name()
                .ok_or_else(|| Error::Invalid(format!("{}: give the path of a binary", binary.display())))?;
            let to = root.join(name);
            fs::metadata(binary).map_err(Error::file("reading", binary))?;
            Cmd::new("strip").args(["--strip-debug", "-o"]).args([&to, binary]).run()?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755))
                .map_err(Error::file("permitting", &to))?;
            libraries.extend(shared_libraries(binary, &[])?);
            entry.get_or_insert(format!("/{}", name.to_string_lossy()));
        }
        for library in &libraries {
            copy_into(root, library, library)?;
        }
        for (from, to) in &self.files {
            copy_into(root, from, Path::new(to))?;
        }
        if entry.is_none() && self.root.is_none() {
            return Err(Error::Invalid(format!("image {}: give at least one binary", self.name)));
        }
        Ok(entry)
    }
}

/// The pods' sandbox: a process that waits for its end. Built once into `directory`.
pub(crate) fn build_pause(directory: &Path) -> Result<PathBuf> {
    let source = "#include <signal.h>\n#include <unistd.h>\n#include <sys/wait.h>\n\
        static void end(int s) { (void)s; _exit(0); }\n\
        static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0) {} }\n\
        int main(void) { signal(SIGTERM, end); signal(SIGINT, end); signal(SIGCHLD, reap); for (;;) pause(); }\n";
    let work = tempfile::tempdir_in(directory).map_err(Error::file("making a directory in", directory))?;
    let binary = work.path().join("pause");
    Cmd::new("gcc").args(["-static", "-Os", "-x", "c", "-", "-o"]).args([&binary]).input(source).run()?;
    ImageSpec::new(PAUSE_IMAGE, binary).build(directory)
}

/// Imports an archive into the containerd that listens on `socket`.
pub(crate) fn import(socket: &Path, archive: &Path, limit: Duration) -> Result<()> {
    Cmd::new("ctr")
        .arg_pair("--address", socket)
        .args(["--namespace", "k8s.io", "images", "import"])
        .args([archive])
        .limit(limit)
        .run()
        .map(drop)
}

/// What `ldd` lists, with these directories searched first; nothing for a static binary.
pub(crate) fn shared_libraries(binary: &Path, search: &[&Path]) -> Result<Vec<PathBuf>> {
    let mut command = Cmd::new("ldd").args([binary]);
    if !search.is_empty() {
        let joined = std::env::join_paths(search).map_err(|error| {
            Error::Invalid(format!("{search:?}: no path to search for libraries: {error}"))
        })?;
        command = command.env("LD_LIBRARY_PATH", joined);
    }
    match command.run() {
        Ok(output) => libraries_of(&output.stdout),
        Err(Error::Command { output, .. }) if output.contains("not a dynamic executable") => Ok(vec![]),
        Err(error) => Err(error),
    }
}

fn libraries_of(ldd: &str) -> Result<Vec<PathBuf>> {
    if let Some(line) = ldd.lines().find(|l| l.contains("not found")) {
        return Err(Error::Invalid(format!("a library is missing on this machine: {}", line.trim())));
    }
    Ok(ldd
        .lines()
        .filter_map(|l| l.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from))
        .collect())
}

pub(crate) fn copy_into(root: &Path, from: &Path, to: &Path) -> Result<()> {
    let ordinary = |c: &Component<'_>| matches!(c, Component::RootDir | Component::Normal(_));
    let inner = to.strip_prefix("/").ok().filter(|_| to.components().all(|c| ordinary(&c)));
    let Some(inner) = inner else {
        return Err(Error::Invalid(format!("{}: write an absolute path in the image", to.display())));
    };
    let target = root.join(inner);
    if let Some(parent) = target.parent() {
        make_directory(parent)?;
    }
    fs::copy(from, &target).map(drop).map_err(Error::file("copying", from))
}

fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::file("making", path))
}

fn tar(from: &Path, to: &Path, names: &[&str]) -> Result<()> {
    Cmd::new("tar")
        .args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-cf"])
        .args([to])
        .arg_pair("-C", from)
        .args(names)
        .limit(TAR_LIMIT)
        .run()
        .map(drop)
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).map_err(Error::file("reading", path))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(Error::file("reading", path))?;
        match buffer.get(..count) {
            Some(bytes) if count > 0 => digest.update(bytes),
            _ => break,
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn docker_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_lines_give_absolute_paths_and_no_virtual_library() {
        let ldd = "\tlinux-vdso.so.1 (0x00007)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        assert_eq!(
            libraries_of(ldd).unwrap(),
            [PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"), PathBuf::from("/lib64/ld-linux-x86-64.so.2")]
        );
        assert!(libraries_of("\tlibelf.so.1 => not found\n").is_err());
    }

    #[test]
    fn a_path_in_the_image_is_absolute_and_stays_inside() {
        let root = tempfile::tempdir().unwrap();
        let from = root.path().join("from");
        fs::write(&from, "x").unwrap();
        assert!(copy_into(root.path(), &from, Path::new("/etc/a/b")).is_ok());
        assert!(copy_into(root.path(), &from, Path::new("etc/a")).is_err());
        assert!(copy_into(root.path(), &from, Path::new("/../a")).is_err());
    }

    #[test]
    fn an_image_holds_the_binary_its_libraries_and_a_manifest() {
        let directory = tempfile::tempdir().unwrap();
        let archive =
            ImageSpec::new("tidewatch.local/true:dev", "/bin/true").build(directory.path()).unwrap();
        let list = Cmd::new("tar").args(["-tf"]).args([&archive]).run().unwrap().stdout;
        assert_eq!(list.lines().collect::<Vec<_>>(), ["manifest.json", "config.json", "layer.tar"]);
        let layer = Cmd::new("sh")
            .args(["-c", "tar -xOf \"$0\" layer.tar | tar -tf -"])
            .args([&archive])
            .run()
            .unwrap()
            .stdout;
        assert!(layer.contains("./true\n") && layer.contains("libc.so.6"), "{layer}");
    }
}
