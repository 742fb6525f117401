//! Where a runtime looks for a script within its archive (AWS: CloudWatch_Synthetics_Canaries_WritingCanary_Nodejs_Pup,
//! Synthetics_WritingCanary_Nodejs_Playwright, CloudWatch_Synthetics_Canaries_WritingCanary_Python).

use crate::runtime::{Family, RuntimeVersion};

/// Settings of the Playwright runtimes; it lies beside the script that begins.
pub(crate) const SETTINGS: &str = "synthetics.json";

/// The last Puppeteer runtimes that want a script where Lambda's layers have their modules.
const LAST_IN_MODULES: u32 = 10;

/// What goes before each path.
pub(crate) fn folder(runtime: RuntimeVersion) -> &'static str {
    match runtime.family {
        Family::NodejsPuppeteer if runtime.major <= LAST_IN_MODULES => "nodejs/node_modules/",
        Family::PythonSelenium => "python/",
        Family::NodejsPuppeteer | Family::NodejsPlaywright | Family::Nodejs | Family::Java => "",
    }
}

/// What a script's name may end with.
pub(crate) fn extensions(runtime: RuntimeVersion) -> &'static [&'static str] {
    match runtime.family {
        Family::NodejsPuppeteer if runtime.major <= LAST_IN_MODULES => &["js"],
        Family::NodejsPuppeteer | Family::NodejsPlaywright | Family::Nodejs => &["js", "mjs"],
        Family::PythonSelenium => &["py"],
        Family::Java => &["jar"],
    }
}
