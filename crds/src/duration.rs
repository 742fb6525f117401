//! Durations as users write them: numbers with units, such as `60s`, `1m30s`, `14d` or `800ms`.

use std::time::Duration;

/// Why a text isn't a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("{text:?} isn't a duration: write a number and a unit (d, h, m, s or ms), such as 60s or 2m")]
    Malformed { text: String },
    #[error("{text:?} is longer than a duration can be")]
    TooLong { text: String },
}

/// The duration that `text` states.
///
/// # Errors
/// When the text isn't one or more of number-and-unit with the units `d`, `h`, `m`, `s` and `ms`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed { text: text.to_owned() };
    let too_long = || DurationError::TooLong { text: text.to_owned() };
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(malformed)?);
        if digits.is_empty() {
            return Err(malformed());
        }
        let number: u64 = digits.parse().map_err(|_| too_long())?;
        let (part, after) = if let Some(after) = after.strip_prefix("ms") {
            (Some(Duration::from_millis(number)), after)
        } else {
            let seconds = match after.chars().next() {
                Some('d') => 86_400,
                Some('h') => 3_600,
                Some('m') => 60,
                Some('s') => 1,
                _ => return Err(malformed()),
            };
            (number.checked_mul(seconds).map(Duration::from_secs), after.get(1..).unwrap_or_default())
        };
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(too_long)?;
        rest = after;
    }
    if text.is_empty() { Err(malformed()) } else { Ok(total) }
}

/// `duration` in the form that [`parse_duration`] reads; below a second it is rounded down.
pub fn format_duration(duration: Duration) -> String {
    let total = duration.as_secs();
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    let mut text = String::new();
    for (number, unit) in [(hours, 'h'), (minutes, 'm'), (seconds, 's')] {
        if number > 0 {
            text.push_str(&number.to_string());
            text.push(unit);
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_users_write_them() {
        for (text, millis) in [
            ("60s", 60_000),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("0s", 0),
            ("14d", 1_209_600_000),
            ("800ms", 800),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in ["", "60", "s", "1.5m", "5M", "-1s", "1w", "60 s", "1m5"] {
            assert!(
                matches!(parse_duration(text), Err(DurationError::Malformed { .. })),
                "{text} was accepted as {:?}",
                parse_duration(text)
            );
        }
        assert!(matches!(parse_duration("99999999999999999999h"), Err(DurationError::TooLong { .. })));
    }

    #[test]
    fn what_is_formatted_reads_back() {
        for seconds in [0, 1, 59, 60, 90, 600, 3600, 86_399] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
