//! Ages, as kubectl writes them.

use jiff::Timestamp;

/// The time from `then` to `now` in its largest unit or two, such as 45s, 4m30s, 3h or 12d.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    length(seconds)
}

/// A number of seconds in its largest unit or two.
pub(crate) fn length(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let two =
        |large: i64, name: &str, small: i64, below: &str| match (seconds / large, seconds % large / small) {
            (count, 0) => format!("{count}{name}"),
            (count, rest) => format!("{count}{name}{rest}{below}"),
        };
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..36_000 => two(HOUR, "h", MINUTE, "m"),
        36_000..172_800 => format!("{}h", seconds / HOUR),
        _ => format!("{}d", seconds / DAY),
    }
}

#[test]
fn ages_are_written_as_kubectl_does() {
    let cases = [(0, "0s"), (119, "119s"), (120, "2m"), (270, "4m30s"), (600, "10m"), (7_200, "120m")];
    let more = [(10_800, "3h"), (12_600, "3h30m"), (86_400, "24h"), (172_800, "2d"), (8_640_000, "100d")];
    for (seconds, text) in cases.into_iter().chain(more) {
        assert_eq!(length(seconds), text);
    }
    let (early, late) = (Timestamp::from_second(5), Timestamp::from_second(3));
    assert_eq!(age(early.unwrap(), late.unwrap()), "0s", "a clock that is behind");
}
