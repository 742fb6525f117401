//! A run of a heartbeat, from its spec to what AWS would keep of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use tempfile::TempDir;
use tidewatch_crds::CanarySpec;
use tidewatch_synthetics::{Entry, RuntimeVersion, package};
use tokio::process::Command;

use crate::tools::Tools;

const STAND_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stand-in");

/// Longer than any run here; a run that hangs must not hang the tests.
const LONGEST: Duration = Duration::from_secs(180);

/// A runtime, as far as the heartbeat sees it.
#[derive(Debug, Clone, Copy)]
pub struct Browser {
    /// Such as syn-nodejs-puppeteer-17.0.
    pub runtime: &'static str,
    pub framework: &'static str,
    /// What the runtime calls its library.
    pub library: &'static str,
    /// Where it looks for scripts, within the archive.
    pub folder: &'static str,
    /// Whether the library lets a script close the browser.
    pub closes: bool,
}

impl Browser {
    pub const PUPPETEER: Self = Self {
        runtime: "syn-nodejs-puppeteer-17.0",
        framework: "Puppeteer",
        library: "@aws/synthetics-puppeteer",
        folder: "",
        closes: true,
    };
    /// Before the library's new name, before scripts lay at the root.
    pub const PUPPETEER_10: Self = Self {
        runtime: "syn-nodejs-puppeteer-10.0",
        framework: "Puppeteer",
        library: "Synthetics",
        folder: "nodejs/node_modules",
        closes: false,
    };
    pub const PLAYWRIGHT: Self = Self {
        runtime: "syn-nodejs-playwright-8.0",
        framework: "Playwright",
        library: "@aws/synthetics-playwright",
        folder: "",
        closes: true,
    };
    /// Before the library's new name.
    pub const PLAYWRIGHT_2: Self = Self {
        runtime: "syn-nodejs-playwright-2.0",
        framework: "Playwright",
        library: "@amzn/synthetics-playwright",
        folder: "",
        closes: true,
    };
}

/// What becomes of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screenshots {
    Work,
    Fail,
    Hang,
}

/// A heartbeat that can be run.
#[derive(Debug)]
pub struct Canary {
    browser: Browser,
    environment: BTreeMap<String, String>,
    handler: String,
    /// All that the run writes, and what its processes are known by.
    folder: TempDir,
}

/// A step, as the library reports it.
#[derive(Debug, Deserialize)]
pub struct Step {
    pub name: String,
    pub passed: bool,
    pub error: Option<String>,
}

/// How a run went.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub passed: bool,
    /// Why not: what GetCanaryRuns would tell.
    pub reason: Option<String>,
    pub answer: Option<String>,
    pub steps: Vec<Step>,
    /// Whether the script left the browser open.
    pub left_open: bool,
    /// How many times a browser was started.
    pub launches: u32,
    /// The pictures among the artifacts: file name and content.
    #[serde(skip)]
    pub pictures: BTreeMap<String, Vec<u8>>,
    #[serde(skip)]
    pub log: String,
}

impl Canary {
    /// Packages `heartbeat`, the members of spec.heartbeat but for its framework, and lays the files out as the runtime
    /// would.
    ///
    /// # Errors
    /// When it can't be packaged.
    pub fn new(browser: Browser, heartbeat: &str) -> anyhow::Result<Self> {
        let text = format!("timeout: 4m\nheartbeat: {{framework: {}, {heartbeat}}}", browser.framework);
        let spec: CanarySpec = serde_saphyr::from_str(&text)?;
        let runtime: RuntimeVersion = browser.runtime.parse()?;
        let package = package(&spec, &runtime, None).map_err(|refused| anyhow!("{refused:?}"))?;
        let Entry::Handler(handler) = package.entry else { bail!("a heartbeat has a handler") };
        let folder = tempfile::Builder::new().prefix("tidewatch-heartbeat-").tempdir()?;
        for (path, content) in &package.files {
            write(&folder.path().join("task").join(path), content)?;
        }
        Ok(Self { browser, environment: package.environment, handler, folder })
    }

    /// Where all is that belongs to it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs it as the runtime would.
    ///
    /// # Errors
    /// When there is no outcome.
    pub async fn run(&self, tools: &Tools, screenshots: Screenshots) -> anyhow::Result<Outcome> {
        let layer = self.layer()?;
        let home = self.folder.path().join("tmp");
        std::fs::create_dir_all(&home)?;
        let report = self.folder.path().join("report.json");
        let mut node = Command::new("node");
        node.arg(layer.join("run.js"))
            .arg(self.browser.library)
            .arg(self.folder.path().join("task").join(self.browser.folder))
            .arg(&self.handler)
            .arg(&report)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("TMPDIR", &home)
            .env("NODE_PATH", std::env::join_paths([&layer, &tools.drivers])?)
            .env("STAND_IN_CHROMIUM", &tools.chromium)
            .envs(&self.environment)
            .kill_on_drop(true);
        if !self.browser.closes {
            node.env("STAND_IN_WITHOUT_CLOSE", "true");
        }
        match screenshots {
            Screenshots::Work => {}
            Screenshots::Fail => drop(node.env("STAND_IN_SCREENSHOTS", "fail")),
            Screenshots::Hang => drop(node.env("STAND_IN_SCREENSHOTS", "hang")),
        }
        let output = tokio::time::timeout(LONGEST, node.output())
            .await
            .with_context(|| format!("the run didn't end within {LONGEST:?}"))?
            .context("node doesn't start")?;
        let log =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        let text = std::fs::read(&report).with_context(|| format!("no report: {log}"))?;
        let mut outcome: Outcome = serde_json::from_slice(&text)?;
        outcome.log = log;
        outcome.pictures = pictures(&home)?;
        Ok(outcome)
    }

    /// The Lambda layer with the runtime's library.
    fn layer(&self) -> anyhow::Result<PathBuf> {
        let layer = self.folder.path().join("layer");
        let stand_in = Path::new(STAND_IN);
        let library = match self.browser.framework {
            "Puppeteer" => "puppeteer.js",
            _ => "playwright.js",
        };
        let names = [
            ("run.js", "run.js".to_owned()),
            ("artifacts.js", "stand-in-artifacts/index.js".to_owned()),
            (library, format!("{}/index.js", self.browser.library)),
        ];
        for (from, to) in names {
            write(&layer.join(to), &std::fs::read(stand_in.join(from))?)?;
        }
        Ok(layer)
    }
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
    Ok(std::fs::write(path, content)?)
}

fn pictures(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut pictures = BTreeMap::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "png") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            pictures.insert(name, std::fs::read(&path)?);
        }
    }
    Ok(pictures)
}
