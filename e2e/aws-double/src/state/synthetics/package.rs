//! Whether a script's package is what its runtime can run. AWS finds this at the first run, not at creation
//! (CloudWatch_Synthetics_Canaries_WritingCanary_*).

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::config::Code;
use super::runtimes::{Family, Version};
use crate::blueprint;

/// What is inside a blueprint canary's package.
const BLUEPRINT: &str = "blueprint-config.json";
/// Playwright canaries configure their run in it; it lies beside the script.
const PLAYWRIGHT: &str = "synthetics.json";

/// The puppeteer runtimes up to this want the script where Lambda layers have their modules.
const LAST_IN_MODULES: u32 = 10;

/// Whether it can be unpacked at all; Lambda asks at creation.
pub(crate) fn is_archive(package: &[u8]) -> bool {
    ZipArchive::new(Cursor::new(package)).is_ok()
}

/// Why a run fails before the script's first line, if it does.
pub(crate) fn defect(runtime: &str, code: &Code, package: &[u8]) -> Option<String> {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(package)) else {
        return Some("Could not unzip the canary's package".to_owned());
    };
    if !code.blueprint_types.is_empty() {
        return blueprint_defect(&mut archive);
    }
    let version = Version::parse(runtime)?;
    let handler = code.handler.as_deref()?;
    let (script, _function) = handler.rsplit_once('.')?;
    let has = |path: &str| archive.index_for_name(path).is_some();
    let modern = |script: &str| has(&format!("{script}.js")) || has(&format!("{script}.mjs"));
    match version.family {
        Family::Puppeteer if version.number.0 <= LAST_IN_MODULES => {
            let path = format!("nodejs/node_modules/{script}.js");
            let missing = !has(&path);
            missing.then(|| format!("Error: Cannot find module '/opt/nodejs/node_modules/{script}'"))
        }
        Family::Puppeteer | Family::Node => {
            (!modern(script)).then(|| format!("Error: Cannot find module '/opt/{script}'"))
        }
        Family::Playwright if !has(&beside(script, PLAYWRIGHT)) => {
            Some(format!("Error: {PLAYWRIGHT} is missing from the package"))
        }
        Family::Playwright => (!modern(script)).then(|| format!("Error: Cannot find module '/opt/{script}'")),
        Family::Selenium => {
            let missing = !has(&format!("python/{script}.py"));
            missing.then(|| format!("Unable to import module '{script}': No module named '{script}'"))
        }
        // A jar has no layout that a canary could get wrong.
        Family::Java => None,
    }
}

/// The path of `name` in the folder of `script`.
fn beside(script: &str, name: &str) -> String {
    script.rsplit_once('/').map_or_else(|| name.to_owned(), |(folder, _)| format!("{folder}/{name}"))
}

fn blueprint_defect(archive: &mut ZipArchive<Cursor<&[u8]>>) -> Option<String> {
    let mut text = String::new();
    let read = archive.by_name(BLUEPRINT).ok().and_then(|mut file| file.read_to_string(&mut text).ok());
    if read.is_none() {
        return Some(format!("Error: {BLUEPRINT} is missing from the package's root"));
    }
    let found = blueprint::check(&text);
    let first = found.first()?;
    Some(format!("Blueprint configuration is invalid: {first} ({} in all)", found.len()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::zipped;
    use super::*;

    fn script(handler: &str) -> Code {
        Code { handler: Some(handler.to_owned()), ..Code::default() }
    }

    #[test]
    fn each_runtime_wants_its_script_in_its_own_place() {
        let cases: [(&str, &str, &[&str], bool); 16] = [
            ("syn-nodejs-puppeteer-9.1", "f.handler", &["nodejs/node_modules/f.js"], true),
            ("syn-nodejs-puppeteer-10.0", "f.handler", &["nodejs/node_modules/f.js"], true),
            ("syn-nodejs-puppeteer-10.0", "f.handler", &["f.js"], false),
            ("syn-nodejs-puppeteer-10.0", "g.handler", &["nodejs/node_modules/f.js"], false),
            ("syn-nodejs-puppeteer-11.0", "f.handler", &["f.js"], true),
            ("syn-nodejs-puppeteer-11.0", "f.handler", &["f.mjs"], true),
            ("syn-nodejs-puppeteer-11.0", "f.handler", &["nodejs/node_modules/f.js"], false),
            ("syn-nodejs-playwright-2.0", "f.handler", &["f.mjs", "synthetics.json"], true),
            ("syn-nodejs-playwright-2.0", "f.handler", &["f.mjs"], false),
            ("syn-nodejs-playwright-2.0", "f.handler", &["synthetics.json"], false),
            ("syn-nodejs-playwright-2.0", "a/f.handler", &["a/f.js", "a/synthetics.json"], true),
            ("syn-nodejs-playwright-2.0", "a/f.handler", &["a/f.js", "synthetics.json"], false),
            ("syn-python-selenium-5.1", "f.handler", &["python/f.py"], true),
            ("syn-python-selenium-5.1", "f.handler", &["f.py"], false),
            ("syn-nodejs-5.2", "f.handler", &["f.js"], true),
            ("syn-nodejs-5.2", "f.handler", &["README"], false),
        ];
        for (runtime, handler, files, runs) in cases {
            let files: Vec<_> = files.iter().map(|name| (*name, "x")).collect();
            let defect = defect(runtime, &script(handler), &zipped(&files));
            assert_eq!(defect.is_none(), runs, "{runtime} {handler} {files:?}: {defect:?}");
        }
    }

    #[test]
    fn a_blueprint_is_read_and_checked() {
        let code = Code { blueprint_types: vec!["multi-checks".into()], ..Code::default() };
        let defect = |files: &[(&str, &str)]| defect("syn-nodejs-5.2", &code, &zipped(files));
        let good = r#"{"steps":{"1":{"stepName":"a","checkerType":"TCP","hostname":"h","port":1}}}"#;
        assert_eq!(defect(&[(BLUEPRINT, good)]), None);
        assert!(defect(&[("config/blueprint-config.json", good)]).unwrap().contains("missing"));
        assert!(defect(&[(BLUEPRINT, r#"{"steps":{}}"#)]).unwrap().contains("steps"));
        assert!(!is_archive(b"no archive"));
    }
}
