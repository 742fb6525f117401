//! What is said, and what to write, where there is too little traffic to tell. Pure.

use tidewatch_health::Traffic;

use super::traffic::{counted, two_digits};

/// Windows that are worth writing, seconds and as they are written: shorter ones are judged by the traffic of two minutes
/// anyway.
const WINDOWS: [(u64, &str); 3] = [(180, "3m"), (300, "5m"), (600, "10m")];
/// So many seconds are judged together, whatever the window.
const POOLED: u64 = 120;

/// How much traffic there was, how much it takes, and what would help.
pub(super) fn sentence(traffic: &Traffic, window_seconds: u32) -> String {
    let Traffic { segments, attempts, needed, seconds } = *traffic;
    let seen = match (segments, attempts) {
        (0, 0) => "no traffic".to_owned(),
        (_, 0) => counted(segments, "data segment"),
        _ => format!("{} and {}", counted(segments, "data segment"), counted(attempts, "connection attempt")),
    };
    format!(
        "too little traffic to tell: {seen} in {seconds} s, and it takes about {} segments to see a loss of 1%: {}",
        two_digits(needed),
        advice(traffic, window_seconds)
    )
}

/// A longer window, if any is long enough.
fn advice(traffic: &Traffic, window_seconds: u32) -> String {
    let segments = traffic.segments.saturating_add(traffic.attempts.saturating_mul(2));
    let seconds = u64::from(traffic.seconds.max(1));
    let has_enough = |window: u64| {
        // A quarter more than is needed: traffic isn't even.
        segments.saturating_mul(window) / seconds >= traffic.needed.saturating_add(traffic.needed / 4)
    };
    let longer = WINDOWS.iter().find(|(window, _)| {
        *window > POOLED.max(u64::from(window_seconds)) && has_enough(*window) && segments > 0
    });
    match longer {
        Some((_, text)) => format!("write evaluation.window: {text}"),
        None => "no window that can be written is long enough: select more traffic".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_how_much_there_was_and_how_much_it_takes() {
        let traffic = Traffic { segments: 612, attempts: 31, needed: 1_234, seconds: 120 };
        assert_eq!(
            sentence(&traffic, 15),
            "too little traffic to tell: 610 data segments and 31 connection attempts in 120 s, and it takes about 1200 segments to see a loss of 1%: write evaluation.window: 5m"
        );
        let hardly = sentence(&Traffic { segments: 1, attempts: 1, ..traffic }, 15);
        assert!(hardly.contains(": 1 data segment and 1 connection attempt in 120 s"), "{hardly}");
        let silent = sentence(&Traffic { segments: 0, attempts: 0, ..traffic }, 15);
        assert!(silent.starts_with("too little traffic to tell: no traffic in 120 s"), "{silent}");
    }

    #[test]
    fn the_shortest_window_that_would_do_is_named() {
        for (segments, attempts, window, says) in [
            (1_000, 0, 15, "write evaluation.window: 3m"),
            (600, 0, 15, "write evaluation.window: 5m"),
            (200, 100, 15, "write evaluation.window: 10m"),
            (600, 0, 300, "write evaluation.window: 10m"),
            (60, 0, 15, "no window that can be written is long enough: select more traffic"),
            (0, 0, 15, "no window that can be written is long enough: select more traffic"),
        ] {
            let traffic = Traffic { segments, attempts, needed: 1_200, seconds: 120 };
            assert_eq!(advice(&traffic, window), says, "{segments} {attempts} {window}");
        }
    }
}
