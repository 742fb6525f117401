//! What the engines have learned, kept in ConfigMap `tidewatch-baselines` so that a restarted operator or another replica
//! goes on with it. One key an engine: JSON, compressed by zstd. The chart makes the ConfigMap.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tidewatch_evaluation::{Key, Memories};
use tidewatch_health::Memory;
use tidewatch_kube::leader::Leadership;
use tokio::sync::mpsc;

const CONFIG_MAP: &str = "tidewatch-baselines";
/// Of one engine.
const MOST_BYTES: usize = 300 << 10;
/// Of all: the API server takes a ConfigMap of up to 1 MiB.
const MOST_IN_ALL: usize = 3 * MOST_BYTES;
const CALL_LIMIT: Duration = Duration::from_secs(5);
const LEVEL: i32 = 3;

/// Why what was kept can't be used.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("decompress: {0}")]
    Decompress(#[from] std::io::Error),
    #[error("parse: {0}")]
    Parse(#[from] serde_json::Error),
}

/// What the ConfigMap holds: each key's size, and how old it is. What can't be read has no age.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shelf(BTreeMap<String, (Option<Timestamp>, usize)>);

impl Shelf {
    /// Puts `key` there. What has to go for it: of engines that nobody has wanted for longest.
    fn put(&mut self, key: String, as_of: Option<Timestamp>, bytes: usize) -> Vec<String> {
        self.0.remove(&key);
        let mut gone = Vec::new();
        while bytes + self.0.values().map(|(_, bytes)| bytes).sum::<usize>() > MOST_IN_ALL {
            let oldest = self.0.iter().min_by_key(|(_, (as_of, _))| *as_of).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.0.remove(&oldest);
            gone.push(oldest);
        }
        self.0.insert(key, (as_of, bytes));
        gone
    }
}

/// What was kept. What can't be read is told and left out: the engines learn it anew within minutes.
pub(crate) async fn load(client: &Client, namespace: &str) -> (Memories, Shelf) {
    let nothing = <(Memories, Shelf)>::default();
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    match tokio::time::timeout(CALL_LIMIT, api.get_opt(CONFIG_MAP)).await {
        Ok(Ok(Some(map))) => read(map.binary_data.unwrap_or_default()),
        Ok(Ok(None)) => {
            tracing::warn!(
                "there is no ConfigMap {CONFIG_MAP}: baselines are learned anew and not kept; upgrade the chart"
            );
            nothing
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "couldn't read ConfigMap {CONFIG_MAP}: baselines are learned anew");
            nothing
        }
        Err(_) => {
            tracing::warn!(
                "ConfigMap {CONFIG_MAP} couldn't be read within {CALL_LIMIT:?}: baselines are learned anew"
            );
            nothing
        }
    }
}

fn read(data: BTreeMap<String, ByteString>) -> (Memories, Shelf) {
    let (mut memories, mut shelf) = <(Memories, Shelf)>::default();
    for (name, ByteString(bytes)) in data {
        let held = shelf.0.entry(name.clone()).or_insert((None, bytes.len()));
        let Ok(key) = name.parse::<Key>() else {
            tracing::warn!(name, "ConfigMap {CONFIG_MAP} has a key that names no engine");
            continue;
        };
        match decode(&bytes) {
            Ok(memory) => {
                held.0 = memory.as_of();
                tracing::info!(engine = %key, series = memory.len(), "baselines go on from those kept");
                memories.insert(key, memory);
            }
            Err(error) => {
                tracing::warn!(engine = %key, %error, "kept baselines can't be read: they are learned anew");
            }
        }
    }
    (memories, shelf)
}

/// Writes what the engines want kept, until the last of them has ended.
pub(crate) async fn keep(
    client: Client,
    namespace: String,
    leadership: Leadership,
    mut shelf: Shelf,
    mut memories: mpsc::Receiver<(Key, Memory)>,
) {
    let api: Api<ConfigMap> = Api::namespaced(client, &namespace);
    while let Some((key, memory)) = memories.recv().await {
        if leadership.lost.is_cancelled() || memory.is_empty() {
            continue;
        }
        if let Err(error) = write(&api, &mut shelf, key, memory).await {
            tracing::warn!(engine = %key, error, "baselines weren't kept");
        }
    }
}

async fn write(api: &Api<ConfigMap>, shelf: &mut Shelf, key: Key, memory: Memory) -> Result<(), String> {
    let (series, as_of) = (memory.len(), memory.as_of());
    let bytes = tokio::task::spawn_blocking(move || encode(memory, MOST_BYTES))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let size = bytes.len();
    let mut next = shelf.clone();
    let name = key.to_string();
    let gone = next.put(name.clone(), as_of, size);
    let mut data: BTreeMap<&str, Option<ByteString>> = gone.iter().map(|gone| (&**gone, None)).collect();
    data.insert(&name, Some(ByteString(bytes)));
    let patch = Patch::Merge(json!({"binaryData": data}));
    let params = PatchParams::default();
    match tokio::time::timeout(CALL_LIMIT, api.patch(CONFIG_MAP, &params, &patch)).await {
        Ok(Ok(_)) => {
            *shelf = next;
            tracing::info!(engine = %key, series, bytes = size, ?gone, "baselines kept");
            Ok(())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {CALL_LIMIT:?}")),
    }
}

/// At most `most` bytes: where that is too little, what was seen last is kept.
fn encode(memory: Memory, most: usize) -> Result<Vec<u8>, Error> {
    let mut memory = memory;
    loop {
        let bytes = zstd::encode_all(serde_json::to_vec(&memory)?.as_slice(), LEVEL)?;
        if bytes.len() <= most || memory.len() < 2 {
            return Ok(bytes);
        }
        let half = memory.len() / 2;
        memory = memory.within(half);
    }
}

fn decode(bytes: &[u8]) -> Result<Memory, Error> {
    Ok(serde_json::from_slice(&zstd::decode_all(bytes)?)?)
}

#[cfg(test)]
#[path = "baselines_tests.rs"]
mod tests;
