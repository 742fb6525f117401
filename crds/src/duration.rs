//! Durations as users write them: whole hours, minutes and seconds, such as `60s`, `2m` or `1m30s`.

use std::time::Duration;

/// Why a text isn't a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("{text:?} isn't a duration: write a number and a unit (h, m or s), such as 60s or 2m")]
    Malformed { text: String },
    #[error("{text:?} is longer than a duration can be")]
    TooLong { text: String },
}

/// The duration that `text` states.
///
/// # Errors
/// When the text isn't one or more of number-and-unit with the units `h`, `m` and `s`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed { text: text.to_owned() };
    let too_long = || DurationError::TooLong { text: text.to_owned() };
    let mut seconds: u64 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit: u64 = match c {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return Err(malformed()),
        };
        if digits.is_empty() {
            return Err(malformed());
        }
        let number: u64 = digits.parse().map_err(|_| too_long())?;
        digits.clear();
        seconds = number.checked_mul(unit).and_then(|part| seconds.checked_add(part)).ok_or_else(too_long)?;
    }
    if text.is_empty() || !digits.is_empty() {
        return Err(malformed());
    }
    Ok(Duration::from_secs(seconds))
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
        for (text, seconds) in [("60s", 60), ("2m", 120), ("1m30s", 90), ("1h", 3600), ("0s", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in ["", "60", "s", "1.5m", "500ms", "-1s", "1d", "60 s"] {
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
