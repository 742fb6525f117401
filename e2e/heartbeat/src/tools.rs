//! What the machine must have: Node.js, Chromium, and the browser drivers from npm.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

const NPM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/npm");
const FILES: [&str; 3] = [".npmrc", "package.json", "package-lock.json"];

/// What playwright-core asks for.
const LEAST_NODE: u32 = 20;

/// Where they are.
#[derive(Debug, Clone)]
pub struct Tools {
    pub chromium: PathBuf,
    /// The node_modules with puppeteer-core and playwright-core.
    pub drivers: PathBuf,
}

impl Tools {
    /// Finds them, and installs the drivers into `folder` unless they are there.
    ///
    /// # Errors
    /// When the machine lacks one; the error says what to do.
    pub fn find(folder: &Path) -> anyhow::Result<Self> {
        let chromium = on_path("chromium")
            .context("there is no chromium: run `make deps`, which installs Debian's package chromium")?;
        node()?;
        Ok(Self { chromium, drivers: drivers(folder)? })
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn node() -> anyhow::Result<()> {
    let mend = format!("install Node.js {LEAST_NODE} or later, with npm (package nodejs of nodesource.com)");
    if on_path("node").is_none() || on_path("npm").is_none() {
        bail!("there is no node, or no npm: {mend}");
    }
    let output = Command::new("node").arg("--version").output().context("node doesn't start")?;
    let version = String::from_utf8_lossy(&output.stdout);
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|it| it.parse().ok());
    if major.is_none_or(|major: u32| major < LEAST_NODE) {
        bail!("node is {}: {mend}", version.trim());
    }
    Ok(())
}

/// `npm ci`, once for each content of npm/. The browsers that the drivers would fetch are never fetched: .npmrc forbids
/// scripts.
fn drivers(folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder.join("drivers");
    let modules = folder.join("node_modules");
    // npm writes it last.
    let installed = modules.join(".package-lock.json").is_file();
    let read = |folder: &Path| -> std::io::Result<Vec<Vec<u8>>> {
        FILES.iter().map(|file| std::fs::read(folder.join(file))).collect()
    };
    let wanted = read(Path::new(NPM))?;
    if installed && read(&folder).is_ok_and(|there| there == wanted) {
        return Ok(modules);
    }
    std::fs::create_dir_all(&folder)?;
    for (file, content) in FILES.iter().zip(wanted) {
        std::fs::write(folder.join(file), content)?;
    }
    let output = Command::new("timeout").args(["300", "npm", "ci"]).current_dir(&folder).output()?;
    if !output.status.success() {
        bail!("npm ci in {}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(modules)
}
