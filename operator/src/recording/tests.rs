use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidewatch_evaluation::{Evaluations, Registry};
use tidewatch_health::Sensitivity;
use tidewatch_records::{FlowWindow, NodeWindow};

use super::*;
use crate::analyze;

const START: i64 = 1_795_348_800;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// Traffic of three services on two nodes in a window of 15 s, with this share of the segments sent again.
fn flows(second: i64, ratio: f64) -> Vec<FlowWindow> {
    let mut flows = Vec::new();
    for (service, pod) in ["cart", "stock", "payments"].iter().flat_map(|s| (1..5).map(move |pod| (s, pod))) {
        let retransmissions = (1_000.0 * ratio) as u64;
        let line = format!(
            r#"{{"window_start":"{}","window_seconds":15,"reporter":"node-a","role":"client","local":{{"ip":"198.18.1.{pod}","pod":"shop/web-{pod}","service":"shop/web","node":"node-a","zone":"zone-1"}},"remote":{{"ip":"198.18.2.{pod}","port":8080,"pod":"shop/{service}-{pod}","service":"shop/{service}","node":"node-b","zone":"zone-2","kind":"pod"}},"connections":{{"attempted":5,"established":5}},"data_segments_out":1000,"retransmissions":{retransmissions},"rtt_us":{{"count":5,"min":{},"p50":900,"p99":1800,"buckets":[[190,4],[222,1]]}}}}"#,
            at(second),
            700 + pod,
        );
        flows.push(serde_json::from_str(&line).unwrap());
    }
    flows
}

fn node(second: i64, name: &str, pressure: f64) -> NodeWindow {
    let line = format!(
        r#"{{"window_start":"{}","window_seconds":15,"reporter":"{name}","node":{{"cpu_pressure_ratio":{pressure},"conntrack_entries":40,"conntrack_limit":1000}}}}"#,
        at(second)
    );
    serde_json::from_str(&line).unwrap()
}

/// Windows of a healthy time, of loss between two nodes, of a node short of CPU, one that nobody reported, and a recovery.
fn windows() -> Vec<Arc<ClusterWindow>> {
    let window = |n: i64| {
        let second = n * 15;
        let loss = if (20..30).contains(&n) { 0.02 } else { 0.0 };
        let pressure = if (32..36).contains(&n) { 0.97 } else { 0.0213 };
        let silent = n == 10 || n == 11;
        let accounting = format!(
            r#"{{"window_start":"{}","window_seconds":15,"reporter":"node-a","seen":60,"reported":60,"sampled_out":0,"buffer_full":0,"dropped":0,"invalid":0}}"#,
            at(second)
        );
        Arc::new(ClusterWindow {
            start: at(second),
            seconds: 15,
            flows: if silent { Vec::new() } else { flows(second, loss) },
            nodes: if n == 11 {
                Vec::new()
            } else {
                vec![node(second, "node-a", pressure), node(second, "node-b", 0.0)]
            },
            accounting: if n == 11 {
                BTreeMap::new()
            } else {
                [("node-a".into(), serde_json::from_str(&accounting).unwrap())].into()
            },
            expected: BTreeSet::from(["node-a".into(), "node-b".into()]),
        })
    };
    (0..48).map(window).collect()
}

async fn next(evaluations: &mut Evaluations) -> Arc<Evaluation> {
    let changed = tokio::time::timeout(Duration::from_secs(20), evaluations.changed());
    changed.await.expect("an evaluation within 20 s").unwrap();
    evaluations.borrow_and_update().clone().unwrap()
}

/// Has the windows judged at two sensitivities and recorded into `directory`; gives the verdicts as lines.
async fn judged(directory: &Path) -> [String; 2] {
    let (to_recorder, to_record) = mpsc::channel(200);
    let settings = Settings { directory: directory.to_owned(), most_bytes: 1 << 20 };
    let recording = tokio::spawn(record(settings, Metrics::default(), to_record));
    let registry = Registry::default().recorded_by(to_recorder);
    let mut evaluations =
        [Sensitivity::Standard, Sensitivity::High].map(|sensitivity| registry.want(15, sensitivity));
    let mut lines = [String::new(), String::new()];
    for window in windows() {
        registry.publish(window);
        for (evaluations, lines) in evaluations.iter_mut().zip(&mut lines) {
            *lines += &serde_json::to_string(&next(evaluations).await.verdict).unwrap();
            *lines += "\n";
        }
    }
    drop((registry, evaluations));
    tokio::time::timeout(Duration::from_secs(20), recording)
        .await
        .expect("all is written within 20 s")
        .unwrap();
    lines
}

fn files(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
    let mut files: Vec<PathBuf> = entries.filter(of).collect();
    files.sort();
    files
}

fn text(files: &[PathBuf]) -> String {
    files
        .iter()
        .map(|file| String::from_utf8(zstd::decode_all(std::fs::File::open(file).unwrap()).unwrap()).unwrap())
        .collect()
}

/// The verdicts that `tidewatch analyze` prints on what was recorded.
fn analyzed(directory: &Path, sensitivity: Sensitivity) -> String {
    let args =
        analyze::Args { evaluate: 15, history: None, sensitivity, files: files(directory, "windows-15s-") };
    let mut out = Vec::new();
    analyze::write_verdicts(&args, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn analyze_comes_to_the_same_verdicts_as_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let [standard, high] = judged(folder.path()).await;
    for word in ["\"nhi\":\"healthy\"", "\"nhi\":\"degraded\"", "\"shortages\""] {
        assert!(standard.contains(word), "{word} is in no verdict: the test proves little\n{standard}");
    }
    assert_eq!(analyzed(folder.path(), Sensitivity::Standard), standard);
    assert_eq!(analyzed(folder.path(), Sensitivity::High), high);
    assert_eq!(text(&files(folder.path(), "verdicts-15s-Standard-")), standard);
    assert_eq!(text(&files(folder.path(), "verdicts-15s-High-")), high);
}

#[tokio::test]
async fn a_recording_that_was_cut_off_replays_all_but_its_last_window() {
    let folder = tempfile::tempdir().unwrap();
    let [standard, _] = judged(folder.path()).await;
    let last = files(folder.path(), "windows-15s-").pop().unwrap();
    let whole = std::fs::read(&last).unwrap();
    std::fs::write(&last, &whole[..whole.len() - 5]).unwrap();
    let (all_but_last, _) = standard.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(analyzed(folder.path(), Sensitivity::Standard).trim_end(), all_but_last);
}

#[tokio::test]
async fn a_directory_that_cant_be_written_costs_no_verdict() {
    let folder = tempfile::NamedTempFile::new().unwrap();
    let [standard, _] = judged(&folder.path().join("below-a-file")).await;
    assert_eq!(standard.lines().count(), windows().len());
}
