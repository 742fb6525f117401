//! Handlers: file and function of a script.

use crate::refusal::Refusal;
use crate::runtime::{Family, RuntimeVersion};

pub(crate) const FIELD: &str = "spec.script.handler";
const LONGEST: usize = 128;

/// Whether `handler` is one for `runtime`: index.handler or folder/index.handler, and shop.Canary::run for Java.
///
/// # Errors
/// When it isn't.
pub fn handler(handler: &str, runtime: &RuntimeVersion) -> Result<(), Refusal> {
    split(handler, *runtime).map(|_| ())
}

/// The script's path without its ending, and the function in it.
pub(crate) fn split(handler: &str, runtime: RuntimeVersion) -> Result<(&str, &str), Refusal> {
    let java = runtime.family == Family::Java;
    let parts = if java { handler.rsplit_once("::") } else { handler.rsplit_once('.') };
    let known = |(script, function): &(&str, &str)| {
        handler.len() <= LONGEST && is_script(script) && is_function(function)
    };
    parts.filter(known).ok_or_else(|| {
        let mend = if java {
            format!("not a handler of {}: write class and method, such as shop.Canary::run", runtime.family)
        } else {
            format!("not a handler of {}: write file and function, such as index.handler", runtime.family)
        };
        Refusal::new(FIELD, mend)
    })
}

/// Names with `/` or `.` between, none of them empty.
fn is_script(script: &str) -> bool {
    script.split(['/', '.']).all(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    })
}

fn is_function(function: &str) -> bool {
    function.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && function.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_of_their_runtime() {
        for (runtime, text, good) in [
            ("syn-nodejs-puppeteer-17.0", "index.handler", true),
            ("syn-nodejs-puppeteer-17.0", "checkout/index.v2.run_all", true),
            ("syn-python-selenium-8.0", "index.handler", true),
            ("syn-java-1.0", "shop.Canary::run", true),
            ("syn-java-1.0", "shop.Canary.run", false),
            ("syn-nodejs-5.2", "shop.Canary::run", false),
            ("syn-nodejs-5.2", "index", false),
            ("syn-nodejs-5.2", "index.", false),
            ("syn-nodejs-5.2", ".handler", false),
            ("syn-nodejs-5.2", "index.1st", false),
            ("syn-nodejs-5.2", "../index.handler", false),
            ("syn-nodejs-5.2", "/index.handler", false),
            ("syn-nodejs-5.2", "a//index.handler", false),
            ("syn-nodejs-5.2", &format!("{}.handler", "a".repeat(121)), false),
        ] {
            assert_eq!(handler(text, &runtime.parse().unwrap()).is_ok(), good, "{runtime} {text}");
        }
    }
}
