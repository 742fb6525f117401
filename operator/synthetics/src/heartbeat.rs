//! Pages in a browser, by scripts of ours (heartbeat/*.js).

use std::collections::BTreeMap;

use tidewatch_crds::canary::{Framework, HeartbeatSpec};

use crate::layout::{self, SETTINGS};
use crate::limits::address;
use crate::refusal::Refusal;
use crate::runtime::{Family, RuntimeVersion};

pub(crate) const HANDLER: &str = "heartbeat.handler";

const PAGES: &str = include_str!("../heartbeat/pages.js");
const PUPPETEER: &str = include_str!("../heartbeat/puppeteer.js");
const PLAYWRIGHT: &str = include_str!("../heartbeat/playwright.js");
const PLAYWRIGHT_SETTINGS: &str = include_str!("../heartbeat/synthetics.json");

const FIELD: &str = "spec.heartbeat.urls";
const MOST_PAGES: usize = 10;

/// The family whose browser driver `framework` is.
pub(crate) fn family(framework: Framework) -> Family {
    match framework {
        Framework::Puppeteer => Family::NodejsPuppeteer,
        Framework::Playwright => Family::NodejsPlaywright,
    }
}

pub(crate) fn files(
    heartbeat: &HeartbeatSpec,
    runtime: RuntimeVersion,
) -> Result<BTreeMap<String, Vec<u8>>, Vec<Refusal>> {
    let mut refused = pages(&heartbeat.urls);
    let family = family(heartbeat.framework);
    if runtime.family != family {
        refused.push(Refusal::new(
            "spec.heartbeat.framework",
            format!("needs a runtime of {family}, and {runtime} isn't one: choose the framework to fit"),
        ));
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    let files: &[(&str, &str)] = match heartbeat.framework {
        Framework::Puppeteer => &[("heartbeat.js", PUPPETEER), ("pages.js", PAGES)],
        Framework::Playwright => {
            &[("heartbeat.js", PLAYWRIGHT), ("pages.js", PAGES), (SETTINGS, PLAYWRIGHT_SETTINGS)]
        }
    };
    let folder = layout::folder(runtime);
    Ok(files.iter().map(|(name, text)| (format!("{folder}{name}"), text.as_bytes().to_vec())).collect())
}

fn pages(urls: &[String]) -> Vec<Refusal> {
    if urls.is_empty() {
        return vec![Refusal::new(
            FIELD,
            "no page is loaded: write at least one URL, such as https://shop.example.com/",
        )];
    }
    let mut refused = Vec::new();
    if urls.len() > MOST_PAGES {
        refused.push(Refusal::new(
            FIELD,
            format!("{} pages, and a run loads {MOST_PAGES}: write two canaries", urls.len()),
        ));
    }
    let wrong = urls.iter().enumerate().filter_map(|(index, url)| {
        let why = address(url).err()?;
        Some(Refusal::new(
            format!("{FIELD}[{index}]"),
            format!("{why}: write it with its scheme and without login, such as https://shop.example.com/"),
        ))
    });
    refused.extend(wrong);
    refused
}
