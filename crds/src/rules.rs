//! Rules that fields of several kinds share: what the API server refuses, and the sentence that it answers with.

use kube::core::Rule;

/// Form of a duration without milliseconds, such as 1h30m.
const DURATION: &str = "^([0-9]{1,5}[hms])+$";

/// A text of printable ASCII characters of which one isn't a space: what CloudWatch takes for the names and values that
/// identify a metric (API_Dimension, API_PutMetricData).
const PRINTABLE: &str = "^[ -~]*[!-~][ -~]*$";

/// A number that isn't written as text would break a rule on a text that is a duration; it is told by the field's own
/// rule, so that rules on several fields pass over it. `holds` speaks of the duration `d`.
fn unless_malformed(d: &str, holds: &str) -> String {
    format!("type({d}) != string || !{d}.matches('{DURATION}') || {holds}")
}

/// A rule on the periods of all ways to write a metric; `holds` speaks of the period `p`.
pub(crate) fn every_period(holds: &str) -> Rule {
    let of = |way: &str| format!("has(self.metric.{way}) ? self.metric.{way}.period : '60s'");
    let periods = ["cloudWatch", "expression", "networkMonitor", "canary"].map(of).join(", ");
    let holds = unless_malformed("p", &format!("({holds})"));
    Rule::new(format!("!has(self.metric) || [{periods}].all(p, {holds})"))
}

/// A rule on one duration at `path`, which is there wherever `when` holds.
pub(crate) fn duration_at(path: &str, when: &str, holds: &str) -> Rule {
    Rule::new(format!("!({when}) || {}", unless_malformed(path, &format!("({holds})"))))
}

/// The ARNs of all three lists of actions; `holds` speaks of the action `a`.
pub(crate) fn every_action(unless: &str, holds: &str) -> Rule {
    let all = "(self.actions.alarm + self.actions.ok + self.actions.insufficientData)";
    Rule::new(format!("{unless} || {all}.all(a, {holds})"))
}

/// The name of an object of that kind.
pub(crate) fn name_of(kind: &str, example: &str) -> Rule {
    Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message(
        format!("not the name of {kind}: write lower-case letters, digits and -, such as {example}").as_str(),
    )
}

/// An AWS Region.
pub(crate) fn region() -> Rule {
    Rule::new("self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')")
        .message("not an AWS Region: write its code, such as ap-northeast-1")
}

/// The ARN of an IAM role.
pub(crate) fn role(example: &str) -> Rule {
    Rule::new("self.matches('^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$')").message(
        format!("not the ARN of a role: write it in full, such as arn:aws:iam::123456789012:role/{example}")
            .as_str(),
    )
}

/// A time zone. The API server has the database (it needs it for CronJobs), and computes no date in a zone that isn't in
/// it: its answer names the zone, then says this message.
pub(crate) fn time_zone() -> Rule {
    Rule::new(
        "self.matches('^[A-Za-z][A-Za-z0-9_+/-]*$') && self != 'Local' && timestamp('2026-01-01T12:00:00Z').getFullYear(self) > 0",
    )
    .message("not a time zone: write its IANA name, such as Asia/Tokyo")
}

/// A namespace of CloudWatch metrics.
pub(crate) fn metric_namespace() -> Rule {
    Rule::new(format!("!self.startsWith(':') && self.matches('{PRINTABLE}')")).message(
        "not a CloudWatch namespace: write it as CloudWatch shows it, such as AWS/EC2; it can't begin with a colon, and has ASCII characters only",
    )
}

/// The name of a CloudWatch metric.
pub(crate) fn metric_name() -> Rule {
    Rule::new(format!("self.matches('{PRINTABLE}')")).message(
        "not the name of a CloudWatch metric: write it as CloudWatch shows it, in ASCII characters, such as CPUUtilization",
    )
}

/// The names of a metric's dimensions.
pub(crate) fn dimension_names() -> Rule {
    Rule::new(format!(
        "self.all(k, k.size() >= 1 && k.size() <= 255 && !k.startsWith(':') && k.matches('{PRINTABLE}'))"
    ))
    .message("the name of a dimension has 1 to 255 ASCII characters and doesn't begin with a colon, such as InstanceId")
}

/// The values of a metric's dimensions.
pub(crate) fn dimension_values() -> Rule {
    Rule::new(format!("self.all(k, self[k].matches('{PRINTABLE}'))")).message(
        "the value of a dimension has ASCII characters, at least one of them no space, such as i-0123456789abcdef0",
    )
}

/// A statistic of CloudWatch, without those that trim by value.
pub(crate) fn plain_statistic() -> Rule {
    statistic("")
}

/// Any statistic of CloudWatch.
pub(crate) fn any_statistic() -> Rule {
    statistic("|(TM|TC|TS|WM)[(]([0-9.]+%?)?:([0-9.]+%?)?[)]|PR[(]([0-9.]+)?:([0-9.]+)?[)]")
}

fn statistic(ranges: &str) -> Rule {
    Rule::new(format!(
        "self.matches('^(SampleCount|Average|Sum|Minimum|Maximum|IQM|(p|tc|tm|ts|wm)([0-9]{{1,2}}([.][0-9]{{1,10}})?|100){ranges})$')"
    ))
    .message("not a statistic: write Average, Sum, Minimum, Maximum, SampleCount, or a percentile such as p99")
}

/// Tags of CloudWatch alarms: letters of any script, digits, spaces and some signs (Tagging AWS resources).
pub(crate) fn alarm_tags() -> Rule {
    let key = format!("{OWN_TAGS} && k.matches('^[\\\\p{{L}}\\\\p{{Z}}\\\\p{{N}}_.:/=+@-]+$')");
    Rule::new(format!("self.all(k, {key} && {TAG_VALUE})")).message(
        "not a tag that AWS takes: write up to 128 letters, digits, spaces and + - = . _ : / @, not beginning with aws: or tidewatch.dev/, and the same characters in the value",
    )
}

/// Tags of canaries, whose keys may have fewer characters (model of CloudWatch Synthetics, TagKey).
pub(crate) fn canary_tags() -> Rule {
    let key = format!("{OWN_TAGS} && k.matches('^[a-zA-Z+-=._:/]+$')");
    Rule::new(format!("self.all(k, {key} && {TAG_VALUE})")).message(
        "not a tag that CloudWatch Synthetics takes: write up to 128 of the letters a to z, digits and + - = . _ : / (no spaces), not beginning with aws: or tidewatch.dev/; the value may have letters of any script, and spaces",
    )
}

const OWN_TAGS: &str = "k.size() >= 1 && k.size() <= 128 && !k.lowerAscii().startsWith('aws:') && !k.startsWith('tidewatch.dev/')";
const TAG_VALUE: &str = "self[k].matches('^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]*$')";

/// One item of a field of a schedule: all, a value or a range.
fn cron_item(value: &str, step: &str) -> String {
    format!("([*]|{value}(-{value})?){step}")
}

/// One field of a schedule: items with commas between.
fn cron_field(item: &str) -> String {
    format!("{item}(,{item})*")
}

const MINUTE: &str = "[0-5]?[0-9]";
const HOUR: &str = "([01]?[0-9]|2[0-3])";
const DAY: &str = "(0?[1-9]|[12][0-9]|3[01])";
const MONTH: &str = "(0?[1-9]|1[0-2]|(?i:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC))";
const WEEKDAY: &str = "(0?[0-6]|(?i:SUN|MON|TUE|WED|THU|FRI|SAT))";

/// When a mute begins, in the words of CloudWatch: cron with `*`, `-` and `,` only (API_Schedule), or a date.
pub(crate) fn mute_schedule() -> Rule {
    let fields = [MINUTE, HOUR, DAY, MONTH, WEEKDAY].map(|value| cron_field(&cron_item(value, "")));
    Rule::new(format!("self.startsWith('at(') || self.matches('^{}$')", fields.join(" "))).message(
        "not a schedule that CloudWatch takes: write five fields (minute, hour, day of month, month, day of week) of numbers, names and * - , only, such as 0 2 * * 0 (Sundays at 02:00); it knows no / ? or #. For once, write at(2026-12-24T18:00)",
    )
}

/// The date of a mute that begins once. A year is a leap year by its last two digits, or by its first where those are 00.
pub(crate) fn mute_date() -> Rule {
    let form = "^at[(][0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9][)]$";
    let never = "-(02-30|02-31|04-31|06-31|09-31|11-31)T";
    let leap = "^at[(]([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-";
    Rule::new(format!(
        "!self.startsWith('at(') || (self.matches('{form}') && !self.matches('{never}') && (!self.contains('-02-29T') || self.matches('{leap}')))"
    ))
    .message("not a date and time that there is: write year, month, day, hour and minute, such as at(2026-12-24T18:00)")
}

/// Ranges of numbers go upwards.
pub(crate) fn ascending_ranges() -> Rule {
    Rule::new(
        "self.startsWith('at(') || self.findAll('[0-9]{1,2}-[0-9]{1,2}').all(r, int(r.split('-')[0]) <= int(r.split('-')[1]))",
    )
    .message("a range goes backwards: write the smaller number first, such as 1-5")
}

/// When a canary runs, by cron.
pub(crate) fn canary_cron() -> Rule {
    let step = "(/[0-9]{1,2})?";
    let day = format!("(L|{DAY}W|{})", cron_item(DAY, step));
    let weekday = "(0?[0-7]|(?i:SUN|MON|TUE|WED|THU|FRI|SAT))";
    let weekday = format!("({weekday}L|{weekday}#[1-5]|{})", cron_item(weekday, step));
    let items = [cron_item(MINUTE, step), cron_item(HOUR, step), day, cron_item(MONTH, step), weekday];
    let fields = items.map(|item| cron_field(&item));
    Rule::new(format!("self.matches('^{}$')", fields.join(" "))).message(
        "not a schedule: write the five fields of cron (minute 0-59, hour 0-23, day of month 1-31, month 1-12, day of week 0-7) with single spaces, such as 0 9 * * 1-5 (Monday to Friday at 09:00)",
    )
}

/// A canary's run ends within its interval.
pub(crate) fn timeout_within_interval() -> Rule {
    let holds = "(duration(self.timeout) <= duration(self.schedule.every))";
    let holds = unless_malformed("self.timeout", &unless_malformed("self.schedule.every", holds));
    Rule::new(format!("!has(self.timeout) || !has(self.schedule.every) || {holds}"))
}
