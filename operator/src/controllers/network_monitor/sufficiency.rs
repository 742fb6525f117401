//! What to write where there is too little traffic to tell. Pure.

use tidewatch_health::Traffic;

/// Windows that are worth writing, seconds and as they are written: shorter ones are judged by the traffic of two minutes
/// anyway.
const WINDOWS: [(u64, &str); 3] = [(180, "3m"), (300, "5m"), (600, "10m")];
/// So many seconds are judged together, whatever the window.
const POOLED: u64 = 120;

/// What would help: a longer window, if any is long enough.
pub(super) fn advice(traffic: &Traffic, window_seconds: u32) -> String {
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
