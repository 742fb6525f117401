//! The tables.

use std::fmt::Write as _;

use crate::clock::Clock;
use crate::fault::FaultKind;
use crate::innocent::Innocence;
use crate::methods::MethodName;
use crate::mode::Mode;
use crate::recorded::{Replay, Telling};
use crate::score::{Outcome, Score, Times, reliability, score};
use tidewatch_health::Class;

/// Median and 95th percentile.
pub fn times(times: &Times) -> String {
    let seconds = |time: Option<u32>| time.map_or("never".to_owned(), |t| format!("{t} s"));
    format!("{} / {}", seconds(times.median), seconds(times.p95))
}

/// Method × figures.
pub fn methods(mode: Mode, results: &[(MethodName, Vec<Outcome>)]) -> String {
    let mut out = String::new();
    let trials = results.first().map_or(0, |(_, outcomes)| outcomes.len());
    let _ = writeln!(out, "{} ({trials} trials)", mode.name());
    let _ = writeln!(
        out,
        "{:<14} {:>9} {:>7} {:>8} {:>11} {:>17} {:>10} {:>6}  {:>16} {:>16}",
        "method",
        "precision",
        "recall",
        "verdict",
        "attribution",
        "healthy alarming",
        "slandered",
        "after",
        "detect 50/95%",
        "recover 50/95%"
    );
    for (name, outcomes) in results {
        let s = score(outcomes.iter());
        let _ = writeln!(
            out,
            "{:<14} {:>9.3} {:>7.3} {:>8.3} {:>11.3} {:>17.4} {:>10} {:>6}  {:>16} {:>16}",
            name.name(),
            s.precision,
            s.recall,
            s.verdict,
            s.attribution,
            s.healthy_alarming,
            s.slandered,
            s.afterwards,
            times(&s.detect),
            times(&s.recover)
        );
    }
    out
}

/// For each kind of fault: precision/recall/verdict of each method.
pub fn kinds(results: &[(MethodName, Vec<Outcome>)]) -> String {
    let mut out = String::new();
    let _ = write!(out, "{:<19}", "precision/recall/verdict");
    for (name, _) in results {
        let _ = write!(out, " {:>14}", name.name());
    }
    let _ = writeln!(out);
    for kind in FaultKind::TABLE.into_iter().filter(|kind| *kind != FaultKind::Healthy) {
        let of = |outcomes: &[Outcome]| score(outcomes.iter().filter(|outcome| outcome.kind == kind));
        if results.first().is_none_or(|(_, outcomes)| of(outcomes).trials == 0) {
            continue;
        }
        let _ = write!(out, "{:<24}", kind.name());
        for (_, outcomes) in results {
            let s: Score = of(outcomes);
            let cell = format!("{:.2}/{:.2}/{:.2}", s.precision, s.recall, s.verdict);
            let _ = write!(out, " {cell:>14}");
        }
        let _ = writeln!(out);
    }
    out
}

/// Stated confidence against how often it was right.
pub fn confidence(outcomes: &[Outcome]) -> String {
    let mut out = String::from("confidence     stated   right    components\n");
    for bin in reliability(outcomes.iter()).into_iter().filter(|bin| bin.all > 0) {
        let _ = writeln!(
            out,
            "{:.2} – {:.2}    {:.3}    {:.3}    {}",
            bin.from,
            bin.to,
            bin.stated,
            bin.right as f64 / bin.all as f64,
            bin.all
        );
    }
    out
}

/// One line a trial in which the method wasn't right in everything, with what it said.
pub fn misses(name: MethodName, outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.is_miss()) {
        let truth: Vec<String> =
            outcome.culprits.iter().map(|c| format!("{} ({:?})", c.component, c.cause)).collect();
        let _ = writeln!(
            out,
            "{} seed {} {}: truth [{}] found {} wrong {} verdict {} quiet alarms {}/{} slandered {} detected {:?} recovered {:?} insufficient {}",
            name.name(),
            outcome.seed,
            outcome.kind.name(),
            truth.join(", "),
            outcome.found(),
            outcome.wrong(),
            if outcome.verdict_is_right() && outcome.attribution_is_right() { "right" } else { "WRONG" },
            outcome.quiet_alarming,
            outcome.quiet,
            outcome.slanders.len(),
            outcome.detected_after,
            outcome.recovered_after,
            outcome.insufficient,
        );
        for (when, blamed) in outcome
            .last
            .iter()
            .map(|b| ("end", b))
            .chain(outcome.quiet_blamed.iter().take(4).map(|b| ("quiet", b)))
            .chain(outcome.afterwards.iter().map(|b| ("after", b)))
        {
            let guilty = if when == "end" && outcome.is_culprit(&blamed.component) { "+" } else { "-" };
            let confidence = blamed.confidence.map_or(String::new(), |c| format!("{c:.3} "));
            let _ = writeln!(out, "    {guilty} {when} {} {confidence}{}", blamed.component, blamed.note);
        }
    }
    out
}

/// The line that machines read.
pub fn bench_line(mode: Mode, clock: Clock, name: MethodName, outcomes: &[Outcome]) -> String {
    let s = score(outcomes.iter());
    let round = |x: f64| (x * 10_000.0).round() / 10_000.0;
    let line = serde_json::json!({
        "bench": "nhi",
        "mode": mode.name(),
        "method": name.name(),
        "precision": round(s.precision),
        "recall": round(s.recall),
        "verdict": round(s.verdict),
        "attribution": round(s.attribution),
        "window_seconds": clock.seconds,
        "healthy_alarming": round(s.healthy_alarming),
        "trials": s.trials,
        "detect_seconds_median": s.detect.median,
        "detect_seconds_p95": s.detect.p95,
        "recover_seconds_median": s.recover.median,
        "recover_seconds_p95": s.recover.p95,
        "workload_faults_blamed_on_infrastructure": s.slandered,
        "others_named_afterwards": s.afterwards,
    });
    format!("BENCH {line}")
}

/// In how many trials of a workload's or remote's fault the infrastructure was blamed; each of them with the evidence.
pub fn innocence(mode: Mode, found: &Innocence) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: infrastructure blamed in {} of {} trials of a workload's or a remote's fault (with 95% confidence at most \
         {:.5} of them), and in {} of {} quiet windows before; precision {:.3}, recall {:.3}",
        mode.name(),
        found.blamed.len(),
        found.trials,
        found.at_most(),
        found.quiet_blamed,
        found.quiet,
        found.score.precision,
        found.score.recall,
    );
    for outcome in &found.blamed {
        let truth: Vec<String> = outcome.culprits.iter().map(|c| c.component.to_string()).collect();
        let _ =
            writeln!(out, "    seed {} {}: truth {}", outcome.seed, outcome.kind.name(), truth.join(", "));
        for slander in &outcome.slanders {
            let blamed = &slander.blamed;
            let confidence = blamed.confidence.unwrap_or_default();
            let _ = writeln!(
                out,
                "        window {}: {} {confidence:.3} {}",
                slander.window, blamed.component, blamed.note
            );
        }
    }
    out
}

pub fn innocence_line(mode: Mode, found: &Innocence) -> String {
    let line = serde_json::json!({
        "bench": "nhi-innocent",
        "mode": mode.name(),
        "workload_blamed_on_network": format!("{}/{}", found.blamed.len(), found.trials),
        "blamed": found.blamed.len(),
        "trials": found.trials,
        "at_most_95": (found.at_most() * 1e6).round() / 1e6,
        "quiet_windows": found.quiet,
        "quiet_windows_blaming_infrastructure": found.quiet_blamed,
    });
    format!("BENCH {line}")
}

/// The results of each kind of trial on real machines.
pub fn reality(mode: Mode, clock: Clock, kinds: &[FaultKind], outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<22} {:>6} {:>9} {:>7} {:>11} {:>6} {:>7} {:>9} {:>16}",
        format!("{}, {} s windows", mode.name(), clock.seconds),
        "trials",
        "precision",
        "recall",
        "attribution",
        "cause",
        "wrongly",
        "slandered",
        "detect 50/95%"
    );
    let groups = kinds.iter().map(|kind| (kind.name(), vec![*kind]));
    let part = |all: &[FaultKind]| kinds.iter().copied().filter(|kind| all.contains(kind)).collect();
    let faults: Vec<FaultKind> = part(&FaultKind::REAL_FAULTS);
    let benign: Vec<FaultKind> = part(&FaultKind::REAL_BENIGN);
    for (name, kinds) in groups.chain([("all faults", faults), ("all benign", benign)]) {
        let s = score(outcomes.iter().filter(|outcome| kinds.contains(&outcome.kind)));
        if s.trials == 0 {
            continue;
        }
        let _ = writeln!(
            out,
            "{name:<22} {:>6} {:>9.3} {:>7.3} {:>11.3} {:>6.2} {:>7} {:>9} {:>16}",
            s.trials,
            s.precision,
            s.recall,
            s.attribution,
            s.cause,
            s.wrongly,
            s.slandered,
            if s.recall > 0.0 && !kinds.iter().all(|kind| kind.is_benign()) {
                times(&s.detect)
            } else {
                "-".to_owned()
            },
        );
    }
    out
}

/// One paragraph a trial in which anything was wrong: what was said, and when.
pub fn wrong_words(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    let is_wrong = |o: &&Outcome| {
        o.wrong() > 0 || o.found() < o.culprits.len() || !o.attribution_is_right() || !o.wrongly.is_empty()
    };
    for outcome in outcomes.iter().filter(is_wrong) {
        let truth: Vec<String> =
            outcome.culprits.iter().map(|c| format!("{} ({:?})", c.component, c.cause)).collect();
        let _ = writeln!(
            out,
            "seed {} {}: truth [{}] found {} attribution {:?} detected {:?}: {}",
            outcome.seed,
            outcome.kind.name(),
            truth.join(", "),
            outcome.found(),
            outcome.attribution,
            outcome.detected_after,
            outcome.sentence,
        );
        let mut told = std::collections::BTreeSet::new();
        for named in &outcome.wrongly {
            if told.insert(named.blamed.component.to_string()) {
                let _ = writeln!(
                    out,
                    "    window {}: {} {}\n        {}",
                    named.window, named.blamed.component, named.blamed.note, named.sentence
                );
            }
        }
    }
    out
}

pub fn reality_line(mode: Mode, clock: Clock, name: &str, outcomes: &[&Outcome]) -> String {
    let s = score(outcomes.iter().copied());
    let round = |x: f64| (x * 10_000.0).round() / 10_000.0;
    let line = serde_json::json!({
        "bench": "nhi-reality",
        "mode": mode.name(),
        "window_seconds": clock.seconds,
        "kind": name,
        "trials": s.trials,
        "precision": round(s.precision),
        "recall": round(s.recall),
        "attribution": round(s.attribution),
        "cause": round(s.cause),
        "trials_naming_wrongly": s.wrongly,
        "trials_blaming_infrastructure_wrongly": s.slandered,
        "detect_seconds_median": s.detect.median,
        "detect_seconds_p95": s.detect.p95,
    });
    format!("BENCH {line}")
}

/// The verdicts on recorded windows.
pub fn recorded(replays: &[Replay], seconds: u32) -> String {
    let mut out = String::new();
    let infrastructure =
        |replay: &Replay| replay.wrong.iter().filter(|wrong| wrong.class == Class::Infrastructure).count();
    for replay in replays {
        let _ = writeln!(
            out,
            "{}: {} windows of {seconds} s, {} records, {} with too little data; named wrongly: {} times, infrastructure {}",
            replay.name,
            replay.windows,
            replay.records,
            replay.insufficient,
            replay.wrong.len(),
            infrastructure(replay)
        );
        for telling in &replay.tellings {
            let span = &telling.span;
            let _ = writeln!(
                out,
                "    {} {}: {}, attribution {}",
                span.what,
                span.components.join(", "),
                telling
                    .named_after
                    .map_or("never named".to_owned(), |after| format!("named after {after} s")),
                if telling.attribution_is_right { "right" } else { "wrong" },
            );
        }
        for wrong in &replay.wrong {
            let _ = writeln!(out, "    wrong at {}: {}: {}", wrong.at, wrong.component, wrong.sentence);
        }
    }
    let tellings: Vec<&Telling> = replays.iter().flat_map(|replay| &replay.tellings).collect();
    let line = serde_json::json!({
        "bench": "nhi-recorded",
        "window_seconds": seconds,
        "recordings": replays.len(),
        "windows": replays.iter().map(|replay| replay.windows).sum::<usize>(),
        "faults": tellings.len(),
        "faults_named": tellings.iter().filter(|telling| telling.named_after.is_some()).count(),
        "attribution_right": tellings.iter().filter(|telling| telling.attribution_is_right).count(),
        "false_infrastructure_verdicts": replays.iter().map(infrastructure).sum::<usize>(),
        "false_verdicts": replays.iter().map(|replay| replay.wrong.len()).sum::<usize>(),
    });
    let _ = writeln!(out, "BENCH {line}");
    out
}
