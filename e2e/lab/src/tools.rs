//! Building the Kubernetes, Helm and CoreDNS binaries from the Go modules in `tools/`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use crate::command::tail_of;
use crate::error::{Error, Result};
use crate::options::Progress;
use crate::requirements;

/// A module, what to build of it, and the binaries that this makes.
struct Module {
    name: &'static str,
    package: &'static str,
    binaries: &'static [&'static str],
}

const MODULES: [Module; 3] = [
    Module {
        name: "kubernetes",
        package: "tool",
        // etcd's binary is named after the last part of its path.
        binaries: &[
            "server",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        ],
    },
    Module { name: "helm", package: "tool", binaries: &["helm"] },
    Module { name: "coredns", package: ".", binaries: &["coredns"] },
];

/// Limit for one module; cold, on two cores, the largest takes five minutes.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Builds what is missing or out of date, and returns the directory of the binaries.
///
/// # Errors
/// When Go is missing or a build fails, with the end of what it said.
pub fn build(progress: &Progress) -> Result<PathBuf> {
    let directory = requirements::cache(None).join("bin");
    fs::create_dir_all(&directory).map_err(Error::file("making", &directory))?;
    // Two builds at once would each do all the work; the second waits and then finds it done.
    let lock_path = directory.join(".lock");
    let lock = fs::File::create(&lock_path).map_err(Error::file("making", &lock_path))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, e)| Error::system("waiting for another build of the tools")(e))?;
    for module in &MODULES {
        let sources = requirements::repository().join("e2e/lab/tools").join(module.name);
        let flags = flags(&sources)?;
        let stamp = stamp(&sources, &flags)?;
        let stamp_file = directory.join(format!(".{}.stamp", module.name));
        let built = module.binaries.iter().all(|b| directory.join(b).is_file());
        if built && fs::read_to_string(&stamp_file).is_ok_and(|s| s == stamp) {
            continue;
        }
        compile(module, &sources, &flags, &directory, progress)?;
        fs::write(&stamp_file, stamp).map_err(Error::file("writing", stamp_file))?;
    }
    Ok(directory)
}

/// The linker's flags: no debug information, and for Kubernetes the version that it is to report.
fn flags(sources: &Path) -> Result<String> {
    let path = sources.join("go.mod");
    let text = fs::read_to_string(&path).map_err(Error::file("reading", path))?;
    Ok(match version(&text, "k8s.io/kubernetes") {
        Some(version) => format!("-s -w -X k8s.io/component-base/version.gitVersion={version}"),
        None => "-s -w".into(),
    })
}

fn version<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| line.trim().strip_prefix(module)?.strip_prefix(' ')?.split(' ').next())
}

/// Changes when what is built changes.
fn stamp(sources: &Path, flags: &str) -> Result<String> {
    let mut digest = Sha256::new();
    digest.update(flags);
    for name in ["go.mod", "go.sum", "main.go"] {
        let path = sources.join(name);
        match fs::read(&path) {
            Ok(bytes) => digest.update(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("reading", path)(error)),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn compile(
    module: &Module,
    sources: &Path,
    flags: &str,
    directory: &Path,
    progress: &Progress,
) -> Result<()> {
    progress.say(format!("building {} (once; minutes when nothing is cached)", module.name));
    let start = Instant::now();
    let mut child = Command::new("go")
        .args(["build", "-v", "-trimpath", "-ldflags", flags, "-o"])
        .arg(directory)
        .arg(module.package)
        .current_dir(sources)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::system("starting `go build` (install Go 1.26 or newer)"))?;
    let packages = Arc::new(AtomicUsize::new(0));
    let reader = child.stderr.take().map(|stderr| {
        let packages = Arc::clone(&packages);
        thread::spawn(move || {
            let mut said = String::new();
            for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
                packages.fetch_add(1, Relaxed);
                said.push_str(&line);
                said.push('\n');
            }
            said
        })
    });
    let mut told = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::system("waiting for `go build`"))? {
            break status;
        }
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            let seen = format!("{} packages", packages.load(Relaxed));
            return Err(Error::TimedOut {
                step: format!("building {}", module.name),
                limit: LIMIT,
                seen,
                log: None,
            });
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            progress.say(format!(
                "building {}: {} packages after {} s",
                module.name,
                packages.load(Relaxed),
                start.elapsed().as_secs()
            ));
        }
        thread::sleep(Duration::from_millis(50));
    };
    let said = reader.and_then(|r| r.join().ok()).unwrap_or_default();
    if !status.success() {
        return Err(Error::Command {
            command: format!("go build {} in {}", module.package, sources.display()),
            status: status.to_string(),
            output: tail_of(&said, 30),
        });
    }
    progress.say(format!("built {} in {} s", module.name, start.elapsed().as_secs()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_reports_the_version_that_the_module_pins() {
        let text =
            "require (\n\tk8s.io/kubelet v0.34.4 // indirect\n\tk8s.io/kubernetes v1.34.4 // indirect\n)\n";
        assert_eq!(version(text, "k8s.io/kubernetes"), Some("v1.34.4"));
        assert_eq!(version("module x\n", "k8s.io/kubernetes"), None);
    }
}
