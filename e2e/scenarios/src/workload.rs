//! The workload of a bed's cluster and its monitors: the shop, or real software.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tidewatch_lab::command::Cmd;
use tidewatch_lab::{ImageSpec, Lab, Progress, debian};

use crate::bed::Windows;
use crate::paths;

/// Programs with traffic between them, in a namespace of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Eight services of `tidewatch-shop`.
    Shop,
    /// nginx, haproxy, redis, memcached and PostgreSQL under clients of their own.
    Real,
}

impl Workload {
    /// Its namespace, which is also the name of the monitor of all of it.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Real => "real",
        }
    }

    pub(crate) fn manifest(self) -> PathBuf {
        paths::manifest(match self {
            Self::Shop => "shop.yaml",
            Self::Real => "real.yaml",
        })
    }

    /// The monitors, with the length of their windows where it isn't the default.
    pub(crate) fn monitors(self, windows: Windows) -> anyhow::Result<String> {
        let path = match self {
            Self::Shop => paths::manifest("monitors.yaml"),
            Self::Real => paths::manifest("real-monitors.yaml"),
        };
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(match (self, windows) {
            (Self::Shop, _) | (Self::Real, Windows::Default) => text,
            (Self::Real, Windows::Short) => {
                text.replace("\nspec:\n", "\nspec:\n  evaluation: {window: 10s}\n")
            }
        })
    }

    /// Its image, beside those of Tidewatch.
    pub(crate) fn image(self, progress: &Progress) -> anyhow::Result<ImageSpec> {
        Ok(match self {
            Self::Shop => ImageSpec::new("tidewatch.local/shop:dev", paths::binary("tidewatch-shop")?),
            Self::Real => ImageSpec::of_root("tidewatch.local/real:dev", debian::root(progress)?),
        })
    }

    /// The command of this machine that serves the stand-in for DynamoDB, on the host outside the cluster at port 8000.
    pub(crate) fn remote(self) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Shop => {
                let shop = paths::binary("tidewatch-shop")?;
                let shop = shop.to_str().context("the path of the shop isn't UTF-8")?;
                Ok(vec![shop.to_owned(), "serve".to_owned(), "--port=8000".to_owned()])
            }
            Self::Real => {
                let root = debian::root(&Progress::silent())?;
                let root = root.to_str().context("the path of the packages isn't UTF-8")?;
                let library_path = format!("LD_LIBRARY_PATH={root}/usr/lib/x86_64-linux-gnu");
                let server = format!("{root}/usr/bin/redis-server");
                let options = ["--port", "8000", "--save", "", "--protected-mode", "no", "--bind", "0.0.0.0"];
                let command = ["/usr/bin/env".to_owned(), library_path, server];
                Ok(command.into_iter().chain(options.map(str::to_owned)).collect())
            }
        }
    }
}

/// Runs in a lab that is up: whether its nodes have the image isn't known, so they get it.
pub(crate) fn load(lab: &Lab, workload: Workload, progress: &Progress) -> anyhow::Result<()> {
    lab.load_image(&workload.image(progress)?)?;
    let roots = tempfile::tempdir().context("a directory for the images' files")?;
    for (image, binary) in [("agent", "tidewatch-agent"), ("operator", "tidewatch")] {
        let root = roots.path().join(image);
        make_root(image, &paths::binary(binary)?, &root)?;
        lab.load_image(&ImageSpec::of_root(format!("tidewatch.local/{image}:dev"), root))?;
    }
    Ok(())
}

/// The files of the operator's or the agent's image, by the script that makes those of the images that users get.
fn make_root(image: &str, binary: &Path, root: &Path) -> anyhow::Result<()> {
    let binaries = binary.parent().context("the binary has no directory")?;
    Cmd::new(paths::repository().join("charts/image/make-root"))
        .args([image])
        .arg_pair("--binaries", binaries)
        .arg_pair("--to", root)
        .run()
        .with_context(|| format!("the files of the {image}'s image"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lab_s_images_hold_the_files_of_the_real_ones() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::copy("/bin/true", directory.path().join("tidewatch-agent")).unwrap();
        let root = directory.path().join("root");
        make_root("agent", &directory.path().join("tidewatch-agent"), &root).unwrap();
        let packages = std::fs::read_dir(root.join("var/lib/dpkg/status.d")).unwrap();
        let packages: Vec<_> = packages.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(packages, ["libc6"]);
        let error = make_root("agent", &directory.path().join("tidewatch-agent"), &root).unwrap_err();
        assert!(format!("{error:#}").contains("is there already"), "{error:#}");
    }

    #[test]
    fn only_short_windows_are_written_into_the_monitors() {
        let short = Workload::Real.monitors(Windows::Short).unwrap();
        let default = Workload::Real.monitors(Windows::Default).unwrap();
        let monitors = default.matches("kind: NetworkMonitor").count();
        assert!(monitors > 3 && !default.contains("window:"), "{default}");
        assert_eq!(short.matches("evaluation: {window: 10s}").count(), monitors, "{short}");
    }
}
