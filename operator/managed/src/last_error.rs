//! The call that AWS refused last, as statuses tell it.

use std::time::Duration;

use jiff::Timestamp;
use tidewatch_aws::AwsError;
use tidewatch_crds::anomaly_alarm::LastError;
use tidewatch_kube::conditions::whole_seconds;

/// How long the time of the next try stands, if the error stays the same.
const PROMISE: Duration = Duration::from_secs(300);

/// The error as the status has it, with the time of the next try.
///
/// When AWS can't be reached, a thousand objects each try again every 40 s; to write each of these times would be 25
/// writes a second. Who reads the status wants to know since when it is so and that it is tried again: so the same error
/// again keeps its time, and says by when it is tried again at the latest, anew every few minutes.
pub fn last_error(
    before: Option<&LastError>,
    error: &AwsError,
    now: Timestamp,
    delay: Duration,
) -> LastError {
    let after = |delay| now.checked_add(delay).ok().map(whole_seconds);
    let (due, at_the_latest) = (after(delay), after(delay.max(PROMISE)));
    let same = before.filter(|last| last.operation == error.operation && last.message == error.message);
    LastError {
        operation: error.operation.to_owned(),
        code: error.code.clone(),
        message: error.message.clone(),
        at: same.map_or(whole_seconds(now), |last| last.at),
        next_try: match same {
            None => due,
            Some(last) => last.next_try.filter(|said| Some(*said) >= due).or(at_the_latest),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewatch_aws::ErrorKind;

    #[test]
    fn the_same_error_for_an_hour_is_written_every_few_minutes_and_says_since_when() {
        let error = AwsError::local("DescribeAlarms", "eu-west-1", ErrorKind::Retry, "nobody answers");
        let start = Timestamp::from_second(1_790_000_000).unwrap();
        let (mut now, mut last, mut written) = (start, None, 0);
        for attempt in 0..120 {
            let delay = Duration::from_secs(if attempt < 5 { 1 << attempt } else { 30 });
            let next = last_error(last.as_ref(), &error, now, delay);
            assert!(
                next.next_try.unwrap() >= now.checked_add(delay).unwrap(),
                "it was to be tried before: {next:?}"
            );
            written += u32::from(last.as_ref() != Some(&next));
            assert_eq!(next.at, start);
            last = Some(next);
            now = now.checked_add(delay).unwrap();
        }
        assert!((10..=15).contains(&written), "{written} times in {:?}", now.duration_since(start));
        let other = AwsError::local("DescribeAlarms", "eu-west-1", ErrorKind::Throttled, "Rate exceeded");
        let next = last_error(last.as_ref(), &other, now, Duration::from_secs(2));
        assert_eq!((next.at, next.next_try), (now, now.checked_add(Duration::from_secs(2)).ok()));
    }
}
