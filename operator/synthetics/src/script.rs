//! Scripts of the user's own, from a ConfigMap.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tidewatch_crds::canary::ScriptSpec;

use crate::handler;
use crate::layout::{self, SETTINGS};
use crate::refusal::Refusal;
use crate::runtime::{Family, RuntimeVersion};

pub(crate) const FIELD: &str = "spec.script.configMapRef";

/// The files of the ConfigMap, where `runtime` looks for them.
pub(crate) fn files(
    script: &ScriptSpec,
    runtime: RuntimeVersion,
    config_map: Option<&BTreeMap<String, Vec<u8>>>,
) -> Result<BTreeMap<String, Vec<u8>>, Vec<Refusal>> {
    let Some(reference) = &script.config_map_ref else {
        let mend = match &script.s3 {
            Some(_) => "a zip file in S3 is sent as it is: there is nothing to pack",
            None => "a script comes from one place: write either configMapRef or s3",
        };
        return Err(vec![Refusal::new("spec.script.s3", mend)]);
    };
    if runtime.family == Family::Java {
        return Err(vec![Refusal::new(
            FIELD,
            "a ConfigMap can't carry what Java runs: put the zip file into S3 and write s3: {bucket: …, key: …}",
        )]);
    }
    let Some(config_map) = config_map else {
        return Err(vec![Refusal::new(
            FIELD,
            format!("there is no ConfigMap {}: create it, with a key for each file", reference.name),
        )]);
    };
    let mut refused: Vec<Refusal> = config_map.keys().filter_map(|path| bad_path(path)).collect();
    let folder = match beginning(script, runtime, config_map) {
        Ok(folder) => folder,
        Err(refusal) => {
            refused.push(refusal);
            ""
        }
    };
    let settings = format!("{folder}{SETTINGS}");
    if runtime.family == Family::NodejsPlaywright {
        refused.extend(config_map.get(&settings).and_then(|text| bad_settings(&settings, text)));
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    let mut files = config_map.clone();
    if runtime.family == Family::NodejsPlaywright {
        // Empty, it leaves everything as AWS has it.
        files.entry(settings).or_insert_with(|| b"{}\n".to_vec());
    }
    let prefix = layout::folder(runtime);
    Ok(files.into_iter().map(|(path, content)| (format!("{prefix}{path}"), content)).collect())
}

/// A path that would leave the archive, or that not every system takes.
fn bad_path(path: &str) -> Option<Refusal> {
    let good = path.split('/').all(|name| !matches!(name, "" | "." | ".."))
        && !path.chars().any(|c| c == '\\' || c.is_control());
    (!good).then(|| {
        Refusal::new(FIELD, format!("{path:?} isn't the name of a file: rename the key, such as index.js"))
    })
}

/// The folder of the file that the handler names, with its last `/`.
fn beginning<'a>(
    script: &'a ScriptSpec,
    runtime: RuntimeVersion,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<&'a str, Refusal> {
    let (path, function) = handler::split(&script.handler, runtime)?;
    let extensions = layout::extensions(runtime);
    if extensions.iter().any(|extension| files.contains_key(&format!("{path}.{extension}"))) {
        return Ok(path
            .rsplit_once('/')
            .map_or("", |(folder, _)| path.get(..=folder.len()).unwrap_or_default()));
    }
    let wanted: Vec<String> = extensions.iter().map(|extension| format!("{path}.{extension}")).collect();
    let wanted = wanted.join(" or ");
    let others: Vec<&str> = files.keys().map(String::as_str).collect();
    let mend = if others.is_empty() {
        format!("the ConfigMap is empty: add a key {wanted}")
    } else if path.contains('/') {
        format!(
            "the keys of a ConfigMap have no folders ({}): write index.{function}, or put the script into S3",
            others.join(", ")
        )
    } else {
        let similar = others.iter().find_map(|key| {
            let (name, extension) = key.rsplit_once('.')?;
            extensions.contains(&extension).then_some(name)
        });
        let instead = similar.map_or_else(String::new, |name| format!(" or write {name}.{function},"));
        format!("the ConfigMap has no key {wanted}, only {}:{instead} rename the key", others.join(", "))
    };
    Err(Refusal::new(handler::FIELD, mend))
}

/// AWS would only find out at the first run.
fn bad_settings(path: &str, text: &[u8]) -> Option<Refusal> {
    let error = serde_json::from_slice::<Map<String, Value>>(text).err()?;
    let place = format!("line {}, column {}", error.line(), error.column());
    Some(Refusal::new(FIELD, format!("{path} isn't a JSON object ({place}): correct it, or leave it out")))
}
