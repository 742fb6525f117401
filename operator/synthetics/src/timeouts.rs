//! How long a run, and a page of it, may take.

use std::time::Duration;

use tidewatch_crds::canary::HeartbeatSpec;
use tidewatch_crds::{CanarySpec, format_duration, parse_duration};

use crate::refusal::Refusal;

const DEFAULT_RUN: Duration = Duration::from_secs(60);
/// `TimeoutInSeconds` of API_CanaryRunConfigInput.
const SHORTEST_RUN: Duration = Duration::from_secs(3);
const LONGEST_RUN: Duration = Duration::from_secs(840);

/// "Make it no shorter than 15 seconds to allow for Lambda cold starts and the time it takes to boot up the canary
/// instrumentation" (CloudWatch_Synthetics_Library_nodejs_puppeteer).
const BROWSER_START: Duration = Duration::from_secs(15);

const DEFAULT_PAGE: Duration = Duration::from_secs(30);
const SHORTEST_PAGE: Duration = Duration::from_secs(1);
const LONGEST_PAGE: Duration = Duration::from_secs(300);
/// Below this a page that nobody gave a time-out would fail for being slow on a bad day.
const SHORTEST_DEFAULT_PAGE: Duration = Duration::from_secs(5);

const RUN: &str = "spec.timeout";
const PAGE: &str = "spec.heartbeat.pageTimeout";

/// How long a run of `spec` may take: `spec.timeout`, or 1m, or the interval where that is shorter.
///
/// # Errors
/// When AWS doesn't take it.
pub fn run_timeout(spec: &CanarySpec) -> Result<Duration, Refusal> {
    let every =
        spec.schedule.every.as_deref().map(|every| duration(every, "spec.schedule.every")).transpose()?;
    let run = match &spec.timeout {
        Some(text) => duration(text, RUN)?,
        None => every.map_or(DEFAULT_RUN, |every| every.min(DEFAULT_RUN)),
    };
    if run < SHORTEST_RUN || run > LONGEST_RUN || run.subsec_nanos() != 0 {
        return Err(Refusal::new(RUN, "AWS takes whole seconds from 3s to 14m: write such as 1m"));
    }
    if every.is_some_and(|every| run > every) {
        return Err(Refusal::new(
            RUN,
            "a run must end before the next begins: make timeout shorter than schedule.every",
        ));
    }
    Ok(run)
}

/// How long a heartbeat may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageTimes {
    /// One page.
    pub(crate) page: Duration,
    /// All of them, once the browser has started.
    pub(crate) budget: Duration,
}

/// How the run's time is shared out: what the browser's start leaves is enough for every page to take its longest, so
/// that a run always ends with a reason, and isn't cut off by Lambda without one.
pub(crate) fn page_times(spec: &CanarySpec, heartbeat: &HeartbeatSpec) -> Result<PageTimes, Refusal> {
    let run = run_timeout(spec)?;
    let pages = u32::try_from(heartbeat.urls.len()).unwrap_or(u32::MAX).max(1);
    let budget = run.saturating_sub(BROWSER_START);
    let share = whole_seconds(budget / pages);
    let Some(text) = &heartbeat.page_timeout else {
        if share < SHORTEST_DEFAULT_PAGE {
            return Err(too_short(run, pages, SHORTEST_DEFAULT_PAGE));
        }
        return Ok(PageTimes { page: share.min(DEFAULT_PAGE), budget });
    };
    let page = duration(text, PAGE)?;
    if page < SHORTEST_PAGE || page > LONGEST_PAGE {
        return Err(Refusal::new(PAGE, "a page takes from 1s to 5m: write such as 30s"));
    }
    if page <= share {
        return Ok(PageTimes { page, budget });
    }
    if share < SHORTEST_PAGE {
        return Err(too_short(run, pages, page));
    }
    Err(Refusal::new(
        PAGE,
        format!(
            "{} of {} and 15s for the browser's start don't fit into the run's {}: write {} or less, or spec.timeout: {}",
            counted(pages),
            format_duration(page),
            format_duration(run),
            format_duration(share),
            format_duration(needed(pages, page)),
        ),
    ))
}

fn too_short(run: Duration, pages: u32, page: Duration) -> Refusal {
    let needed = needed(pages, page);
    let mend = if needed > LONGEST_RUN {
        "write fewer pages".to_owned()
    } else {
        format!("write {} or more, with schedule.every no shorter, or fewer pages", format_duration(needed))
    };
    Refusal::new(
        RUN,
        format!(
            "{} of {} and 15s for the browser's start don't fit into {}: {mend}",
            counted(pages),
            format_duration(page),
            format_duration(run),
        ),
    )
}

fn counted(pages: u32) -> String {
    if pages == 1 { "a page".to_owned() } else { format!("{pages} pages") }
}

fn needed(pages: u32, page: Duration) -> Duration {
    page.saturating_mul(pages).saturating_add(BROWSER_START)
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

fn duration(text: &str, field: &str) -> Result<Duration, Refusal> {
    parse_duration(text).map_err(|error| Refusal::new(field, error.to_string()))
}

#[cfg(test)]
mod tests {
    use tidewatch_crds::canary::ScheduleSpec;

    use super::*;

    fn times(run: Option<&str>, page: Option<&str>, pages: usize) -> Result<(u64, u64), String> {
        let schedule = ScheduleSpec { every: Some("1h".to_owned()), ..ScheduleSpec::default() };
        let spec = CanarySpec { timeout: run.map(str::to_owned), schedule, ..CanarySpec::default() };
        let heartbeat = HeartbeatSpec {
            urls: vec!["https://a.example/".to_owned(); pages],
            page_timeout: page.map(str::to_owned),
            ..HeartbeatSpec::default()
        };
        let times = page_times(&spec, &heartbeat).map_err(|refused| refused.to_string())?;
        Ok((times.page.as_secs(), times.budget.as_secs()))
    }

    #[test]
    fn a_page_s_time_leaves_the_others_theirs() {
        for (run, page, pages, expected) in [
            (None, None, 1, (30, 45)),
            (None, None, 2, (22, 45)),
            (None, None, 9, (5, 45)),
            (Some("2m"), None, 3, (30, 105)),
            (Some("20s"), None, 1, (5, 5)),
            (Some("20s"), Some("5s"), 1, (5, 5)),
            (Some("14m"), Some("5m"), 2, (300, 825)),
            (Some("1m"), Some("2s"), 10, (2, 45)),
        ] {
            assert_eq!(times(run, page, pages), Ok(expected), "{run:?} {page:?} {pages}");
        }
    }

    #[test]
    fn times_that_contradict_each_other_say_which_would_do() {
        for (run, page, pages, said) in [
            (
                None,
                None,
                10,
                "spec.timeout: 10 pages of 5s and 15s for the browser's start don't fit into 1m: write 1m5s or more",
            ),
            (Some("15s"), None, 1, "spec.timeout: a page of 5s and 15s"),
            (Some("10s"), Some("1s"), 1, "write 16s or more"),
            (
                None,
                Some("30s"),
                2,
                "spec.heartbeat.pageTimeout: 2 pages of 30s and 15s for the browser's start don't fit into the run's 1m: write 22s or less, or spec.timeout: 1m15s",
            ),
            (Some("15s"), Some("5m"), 10, "write fewer pages"),
        ] {
            let refused = times(run, page, pages).unwrap_err();
            assert!(refused.contains(said), "{run:?} {page:?} {pages}: {refused}");
        }
    }
}
