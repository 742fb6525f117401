use std::fmt::Write as _;
use std::fs;

use super::*;

/// One line of a record: `segments` sent, of which `retransmissions` again, by service `service` at `second`.
fn line(second: i64, service: &str, pod: usize, segments: u64, retransmissions: u64) -> String {
    let at = Timestamp::from_second(1_795_348_800 + second).unwrap();
    format!(
        r#"{{"window_start":"{at}","window_seconds":30,"reporter":"node-a","role":"client","local":{{"ip":"198.18.1.{pod}","pod":"shop/web-{pod}","service":"shop/web","node":"node-a","zone":"zone-1"}},"remote":{{"ip":"198.18.2.{pod}","port":8080,"pod":"shop/{service}-{pod}","service":"shop/{service}","node":"node-b","zone":"zone-2","kind":"pod"}},"connections":{{"attempted":5,"established":5}},"data_segments_out":{segments},"retransmissions":{retransmissions}}}
"#
    )
}

fn windows(seconds: impl Iterator<Item = i64>, ratio: f64) -> String {
    let mut text = String::new();
    for second in seconds {
        for service in ["cart", "stock", "payments"] {
            for pod in 1..4 {
                text += &line(second, service, pod, 1_000, (1_000.0 * ratio) as u64);
            }
        }
    }
    text
}

struct Outcome {
    verdicts: Vec<serde_json::Value>,
    malformed: Malformed,
    result: anyhow::Result<()>,
}

fn analyze(seconds: u32, files: &[(&str, Vec<u8>)]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|(name, content)| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        })
        .collect();
    let mut out = Vec::new();
    let mut malformed = Malformed::default();
    let mut engine = Engine::new(Config::default());
    let result = Inputs::open(&paths)
        .and_then(|mut inputs| judge(&mut inputs, seconds, &mut engine, &mut malformed, &mut out));
    let verdicts = String::from_utf8(out).unwrap();
    let verdicts = verdicts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Outcome { verdicts, malformed, result }
}

#[test]
fn each_evaluation_window_has_one_verdict_line() {
    let text = windows((0..8).map(|n| n * 30), 0.0);
    let outcome = analyze(60, &[("flows.jsonl", text.into_bytes())]);
    outcome.result.unwrap();
    let starts: Vec<_> =
        outcome.verdicts.iter().map(|verdict| verdict["window_start"].as_str().unwrap()).collect();
    let expected =
        ["2026-11-22T12:00:00Z", "2026-11-22T12:01:00Z", "2026-11-22T12:02:00Z", "2026-11-22T12:03:00Z"];
    assert_eq!(starts, expected);
    assert!(outcome.verdicts.iter().all(|verdict| verdict["nhi"] == "healthy"), "{:?}", outcome.verdicts);
    assert_eq!(outcome.verdicts[0]["coverage"]["records"], 18);
    assert_eq!(outcome.verdicts[0]["coverage"]["flows"], 9, "two agent windows of a flow are one flow");
}

#[test]
fn a_window_without_records_is_insufficient_data() {
    let text = windows([0, 30, 180].into_iter(), 0.0);
    let outcome = analyze(60, &[("flows.jsonl", text.into_bytes())]);
    let nhi: Vec<_> = outcome.verdicts.iter().map(|verdict| verdict["nhi"].as_str().unwrap()).collect();
    assert_eq!(nhi, ["healthy", "insufficient_data", "insufficient_data", "healthy"]);
}

#[test]
fn several_files_compressed_or_not_are_merged_by_time() {
    let early = zstd::encode_all(windows([0, 60, 120].into_iter(), 0.0).as_bytes(), 1).unwrap();
    let late = windows([30, 90, 150].into_iter(), 0.0).into_bytes();
    let outcome = analyze(60, &[("a.jsonl.zst", early), ("b.jsonl", late)]);
    outcome.result.unwrap();
    assert_eq!(outcome.verdicts.len(), 3);
    assert!(outcome.verdicts.iter().all(|verdict| verdict["coverage"]["records"] == 18));
}

#[test]
fn malformed_lines_are_counted_and_too_many_are_an_error() {
    let mut text = windows((0..20).map(|n| n * 30), 0.0);
    text += "{\"window_start\":\n";
    let outcome = analyze(60, &[("flows.jsonl", text.clone().into_bytes())]);
    assert_eq!((outcome.malformed.count, outcome.malformed.lines), (1, 181));
    outcome.malformed.conclude().unwrap();
    text += "nonsense\n";
    let outcome = analyze(60, &[("flows.jsonl", text.into_bytes())]);
    assert_eq!(outcome.verdicts.len(), 10, "what can be read is judged");
    let error = outcome.malformed.conclude().unwrap_err().to_string();
    assert!(error.starts_with("2 of 182 lines are malformed"), "{error}");
}

#[test]
fn a_record_out_of_time_order_is_malformed() {
    let mut text = windows([0, 120].into_iter(), 0.0);
    let _ = write!(text, "{}", line(30, "cart", 1, 10, 0));
    let outcome = analyze(60, &[("flows.jsonl", text.into_bytes())]);
    assert_eq!(outcome.malformed.count, 1);
}

#[test]
fn records_longer_than_the_evaluation_window_are_an_error_that_says_what_to_do() {
    let outcome = analyze(10, &[("flows.jsonl", windows([0].into_iter(), 0.0).into_bytes())]);
    let error = outcome.result.unwrap_err().to_string();
    assert!(
        error.ends_with("a record of 30 s doesn't fit an evaluation window of 10 s; raise --evaluate"),
        "{error}"
    );
}

#[test]
fn loss_on_a_path_is_named_in_the_output() {
    let text = windows((0..10).map(|n| n * 30), 0.0) + &windows((10..20).map(|n| n * 30), 0.02);
    let outcome = analyze(60, &[("flows.jsonl", text.into_bytes())]);
    let last = outcome.verdicts.last().unwrap();
    assert_eq!(last["nhi"], "degraded", "{last:#}");
    assert_eq!(last["attribution"], "infrastructure");
}

#[test]
fn a_window_in_which_nobody_sent_is_judged() {
    let idle = |second: i64| {
        let at = Timestamp::from_second(1_795_348_800 + second).unwrap();
        format!(
            r#"{{"event_name":"tidewatch.flow.accounting","window_start":"{at}","window_seconds":30,"reporter":"node-a","seen":0,"reported":0,"sampled_out":0,"buffer_full":0,"dropped":0,"invalid":0}}
"#
        )
    };
    let text = idle(0) + &windows([60].into_iter(), 0.0) + &idle(60) + &idle(120);
    let outcome = analyze(60, &[("flows.jsonl", text.into_bytes())]);
    let nhi: Vec<_> = outcome.verdicts.iter().map(|verdict| verdict["nhi"].as_str().unwrap()).collect();
    assert_eq!(nhi, ["insufficient_data", "healthy", "insufficient_data"]);
}

#[test]
fn a_nodes_figures_are_judged_in_their_own_window() {
    let node = |second: i64, pressure: f64| {
        let at = Timestamp::from_second(1_795_348_800 + second).unwrap();
        format!(
            r#"{{"event_name":"tidewatch.node.window","window_start":"{at}","window_seconds":30,"reporter":"node-a","node":{{"cpu_pressure_ratio":{pressure}}}}}
"#
        )
    };
    let mut text = String::new();
    for n in 0..8 {
        let pressure = if n == 4 || n == 5 { 0.95 } else { 0.01 };
        text += &windows([n * 30].into_iter(), 0.0);
        text += &node(n * 30, pressure);
    }
    let outcome = analyze(60, &[("flows.jsonl", text.into_bytes())]);
    let short: Vec<bool> =
        outcome.verdicts.iter().map(|verdict| verdict.get("shortages").is_some()).collect();
    assert_eq!(short, [false, false, true, false], "{:#?}", outcome.verdicts);
}

#[test]
fn a_file_that_was_cut_off_loses_the_window_that_was_being_written() {
    let frame = |n: i64| zstd::encode_all(windows([n * 60].into_iter(), 0.0).as_bytes(), 1).unwrap();
    let whole = [frame(0), frame(1), frame(2)].concat();
    // Longer than a block, so that some of it is read.
    let mut long = windows([180].into_iter(), 0.0);
    while long.len() < 1 << 20 {
        let pod = long.len() % 251;
        long += &line(180, "stock", pod, long.len() as u64, 0);
    }
    let long = zstd::encode_all(long.as_bytes(), 1).unwrap();
    for cut in [3, long.len() / 2, long.len() - 1] {
        let file = [&whole[..], &long[..cut]].concat();
        let outcome = analyze(60, &[("flows.jsonl.zst", file)]);
        outcome.result.unwrap();
        let starts: Vec<_> = outcome.verdicts.iter().map(|v| v["window_start"].as_str().unwrap()).collect();
        assert_eq!(
            starts,
            ["2026-11-22T12:00:00Z", "2026-11-22T12:01:00Z", "2026-11-22T12:02:00Z"],
            "cut at {cut}"
        );
        assert_eq!(outcome.malformed.count, 0);
    }
}

#[test]
fn durations_are_read_or_refused_with_a_sentence() {
    assert_eq!(window_length("60s"), Ok(60));
    assert_eq!(window_length("5m"), Ok(300));
    assert!(window_length("soon").unwrap_err().contains("write 60s or 5m"));
    assert!(window_length("0s").unwrap_err().contains("write 1s to 24h"));
}
