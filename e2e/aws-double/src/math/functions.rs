//! The functions of metric math that the double computes.

use super::Value;
use super::evaluate::{map, times};
use crate::state::{Line, Window};

/// All that AWS has (using-metric-math); another name is a mistake.
pub(crate) const KNOWN: [&str; 38] = [
    "ABS",
    "ANOMALY_DETECTION_BAND",
    "AVG",
    "CEIL",
    "DATAPOINT_COUNT",
    "DATE",
    "DAY",
    "DB_PERF_INSIGHTS",
    "DIFF",
    "DIFF_TIME",
    "EPOCH",
    "FILL",
    "FIRST",
    "FLOOR",
    "HOUR",
    "IF",
    "INSIGHT_RULE_METRIC",
    "LAMBDA",
    "LAST",
    "LOG",
    "LOG10",
    "MAX",
    "METRIC_COUNT",
    "METRICS",
    "MIN",
    "MINUTE",
    "MONTH",
    "PERIOD",
    "RATE",
    "REMOVE_EMPTY",
    "RUNNING_SUM",
    "SEARCH",
    "SERVICE_QUOTA",
    "SLICE",
    "SORT",
    "STDDEV",
    "SUM",
    "TIME_SERIES",
];

pub(super) fn call(name: &str, arguments: &[Value], window: Window) -> Result<Value, String> {
    match (name, arguments) {
        ("ABS", [value]) => each_point(value, f64::abs),
        ("CEIL", [value]) => each_point(value, f64::ceil),
        ("FLOOR", [value]) => each_point(value, f64::floor),
        ("LOG", [value]) => each_point(value, f64::ln),
        ("LOG10", [value]) => each_point(value, f64::log10),
        ("SUM", [value]) => reduce(value, |values| values.iter().sum()),
        ("AVG", [value]) => reduce(value, mean),
        ("MIN", [value]) => reduce(value, |values| values.iter().copied().fold(f64::INFINITY, f64::min)),
        ("MAX", [value]) => reduce(value, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        ("STDDEV", [value]) => reduce(value, deviation),
        ("DATAPOINT_COUNT", [value]) => reduce(value, count),
        ("PERIOD", [Value::Line(_)]) => Ok(Value::Scalar(number(window.period))),
        ("TIME_SERIES", [Value::Scalar(value)]) => {
            Ok(Value::Line(window.periods().map(|at| (at, *value)).collect()))
        }
        ("DIFF", [Value::Line(line)]) => Ok(Value::Line(between(line, |value, _| value))),
        ("RATE", [Value::Line(line)]) => Ok(Value::Line(between(line, |value, seconds| value / seconds))),
        ("RUNNING_SUM", [Value::Line(line)]) => {
            let running = line.iter().scan(0.0, |sum, (at, value)| {
                *sum += value;
                Some((*at, *sum))
            });
            Ok(Value::Line(running.collect()))
        }
        ("FILL", [Value::Line(line), with]) => fill(line, with, window),
        ("IF", [condition, then]) => choose(condition, then, None),
        ("IF", [condition, then, otherwise]) => choose(condition, then, Some(otherwise)),
        ("REMOVE_EMPTY", [Value::Lines(lines)]) => {
            Ok(Value::Lines(lines.iter().filter(|line| !line.is_empty()).cloned().collect()))
        }
        (name, _) if KNOWN.contains(&name) => {
            Err(format!("this double doesn't compute {name} of such arguments"))
        }
        (name, _) => Err(format!("{name} is no function")),
    }
}

fn each_point(value: &Value, of: fn(f64) -> f64) -> Result<Value, String> {
    let finite = |value: f64| Some(of(value)).filter(|value| value.is_finite());
    match value {
        Value::Scalar(value) => finite(*value).map(Value::Scalar).ok_or_else(|| "not a number".to_owned()),
        Value::Line(line) => Ok(map(line, finite)),
        other => Err(format!("a number or a time series is needed, not {other:?}")),
    }
}

/// Of one time series a number; of several a time series.
fn reduce(value: &Value, of: fn(&[f64]) -> f64) -> Result<Value, String> {
    match value {
        Value::Line(line) if line.is_empty() => Ok(Value::Line(Line::new())),
        Value::Line(line) => Ok(Value::Scalar(of(&line.values().copied().collect::<Vec<_>>()))),
        Value::Lines(lines) => {
            let at = |at| lines.iter().filter_map(|line| line.get(&at).copied()).collect::<Vec<_>>();
            Ok(Value::Line(times(lines).into_iter().map(|time| (time, of(&at(time)))).collect()))
        }
        other => Err(format!("time series are needed, not {other:?}")),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values)
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count(values)).sqrt()
}

#[expect(clippy::cast_precision_loss, reason = "no window has that many points")]
fn count(values: &[f64]) -> f64 {
    values.len() as f64
}

#[expect(clippy::cast_precision_loss, reason = "a period is a few weeks at most")]
fn number(seconds: i64) -> f64 {
    seconds as f64
}

/// What lies between each point and the one before it, given the difference and the seconds.
fn between(line: &Line, of: impl Fn(f64, f64) -> f64) -> Line {
    let pairs = line.iter().zip(line.iter().skip(1));
    pairs
        .map(|((before, old), (at, new))| (*at, of(new - old, at.duration_since(*before).as_secs_f64())))
        .collect()
}

fn fill(line: &Line, with: &Value, window: Window) -> Result<Value, String> {
    let missing = |at| -> Result<Option<f64>, String> {
        let before = || line.range(..at).next_back();
        let after = || line.range(at..).next();
        match with {
            Value::Scalar(value) => Ok(Some(*value)),
            Value::Line(other) => Ok(other.get(&at).copied()),
            Value::Text(word) if word == "REPEAT" => Ok(before().map(|(_, value)| *value)),
            Value::Text(word) if word == "LINEAR" => Ok(before().zip(after()).map(|((t0, v0), (t1, v1))| {
                let share = at.duration_since(*t0).as_secs_f64() / t1.duration_since(*t0).as_secs_f64();
                v0 + (v1 - v0) * share
            })),
            other => Err(format!("FILL takes a number, a time series, REPEAT or LINEAR, not {other:?}")),
        }
    };
    let mut filled = line.clone();
    for at in window.periods().filter(|at| !line.contains_key(at)) {
        filled.extend(missing(at)?.map(|value| (at, value)));
    }
    Ok(Value::Line(filled))
}

/// `then` where the condition isn't zero; elsewhere `otherwise`, or nothing.
fn choose(condition: &Value, then: &Value, otherwise: Option<&Value>) -> Result<Value, String> {
    let condition = match condition {
        Value::Scalar(value) => {
            let empty = Value::Line(Line::new());
            return Ok(if *value == 0.0 { otherwise.cloned().unwrap_or(empty) } else { then.clone() });
        }
        Value::Line(line) => line,
        other => return Err(format!("IF needs a number or a time series, not {other:?}")),
    };
    let at = |value: &Value, time| match value {
        Value::Scalar(value) => Ok(Some(*value)),
        Value::Line(line) => Ok(line.get(&time).copied()),
        other => Err(format!("IF chooses between numbers and time series, not {other:?}")),
    };
    let mut chosen = Line::new();
    for (time, holds) in condition {
        let value = match otherwise {
            _ if *holds != 0.0 => at(then, *time)?,
            Some(otherwise) => at(otherwise, *time)?,
            None => None,
        };
        chosen.extend(value.map(|value| (*time, value)));
    }
    Ok(Value::Line(chosen))
}

/// The mean of points and their spread, as a crude band is made of; none without points.
pub(crate) fn spread(values: &[f64]) -> Option<(f64, f64)> {
    (!values.is_empty()).then(|| (mean(values), deviation(values)))
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::super::Operator;
    use super::super::evaluate::apply;
    use super::*;

    fn line(values: &[Option<f64>]) -> Value {
        let at =
            |minute: usize| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute.try_into().unwrap());
        Value::Line(values.iter().enumerate().filter_map(|(i, value)| Some((at(i), (*value)?))).collect())
    }

    fn full(values: &[f64]) -> Value {
        line(&values.iter().copied().map(Some).collect::<Vec<_>>())
    }

    fn run(name: &str, arguments: &[Value]) -> Value {
        let window = Window {
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(3),
            period: 60,
        };
        call(name, arguments, window).unwrap()
    }

    #[test]
    fn gaps_are_filled_by_a_number_the_last_value_or_a_straight_line() {
        let gap = line(&[Some(1.0), None, Some(3.0)]);
        assert_eq!(run("FILL", &[gap.clone(), Value::Scalar(9.0)]), full(&[1.0, 9.0, 3.0]));
        assert_eq!(run("FILL", &[gap.clone(), Value::Text("REPEAT".into())]), full(&[1.0, 1.0, 3.0]));
        assert_eq!(run("FILL", &[gap, Value::Text("LINEAR".into())]), full(&[1.0, 2.0, 3.0]));
    }

    #[test]
    fn one_series_reduces_to_a_number_and_several_to_a_series() {
        assert_eq!(run("SUM", &[full(&[1.0, 2.0, 4.0])]), Value::Scalar(7.0));
        let Value::Line(one) = full(&[1.0, 2.0]) else { unreachable!() };
        let Value::Line(other) = line(&[Some(3.0), None]) else { unreachable!() };
        assert_eq!(run("MAX", &[Value::Lines(vec![one, other])]), full(&[3.0, 2.0]));
        assert_eq!(run("RATE", &[full(&[0.0, 60.0])]), line(&[None, Some(1.0)]));
    }

    #[test]
    fn if_chooses_point_by_point_and_leaves_out_what_has_no_else() {
        let condition = full(&[1.0, 0.0, 1.0]);
        assert_eq!(
            run("IF", &[condition.clone(), Value::Scalar(5.0), Value::Scalar(6.0)]),
            full(&[5.0, 6.0, 5.0])
        );
        assert_eq!(run("IF", &[condition, Value::Scalar(5.0)]), line(&[Some(5.0), None, Some(5.0)]));
    }

    #[test]
    fn points_without_a_result_are_left_out() {
        let quotient = apply(Operator::Divide, &full(&[1.0, 1.0]), &full(&[0.0, 2.0])).unwrap();
        assert_eq!(quotient, line(&[None, Some(0.5)]));
    }
}
