//! An expression's value over a window of time.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::functions;
use super::{Expression, Operator};
use crate::state::{Line, MetricDataQuery, Region, Window};
use crate::validate::queries::subject_of;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Scalar(f64),
    Line(Line),
    Lines(Vec<Line>),
    Band { lower: Line, upper: Line },
    Text(String),
}

/// Queries that may refer to each other, in one window.
pub(crate) struct Evaluation<'a> {
    pub(crate) region: &'a Region,
    pub(crate) queries: &'a [MetricDataQuery],
    pub(crate) window: Window,
}

impl Evaluation<'_> {
    /// The value of the query with this id. Validation has made sure that queries don't go in circles.
    pub(crate) fn query(&self, id: &str) -> Result<Value, String> {
        let query =
            self.queries.iter().find(|query| query.id == id).ok_or_else(|| format!("no query {id}"))?;
        if let Some(stat) = &query.metric_stat {
            return Ok(Value::Line(self.region.metrics.line(stat, self.window)));
        }
        self.value(&Expression::parse(query.expression.as_deref().unwrap_or_default())?)
    }

    fn value(&self, expression: &Expression) -> Result<Value, String> {
        match expression {
            Expression::Number(number) => Ok(Value::Scalar(*number)),
            Expression::Text(text) => Ok(Value::Text(text.clone())),
            Expression::Id(id) => self.query(id),
            Expression::Negated(inner) => {
                apply(Operator::Multiply, &Value::Scalar(-1.0), &self.value(inner)?)
            }
            Expression::Binary(operator, left, right) => {
                apply(*operator, &self.value(left)?, &self.value(right)?)
            }
            Expression::List(items) => {
                let mut lines = Vec::new();
                for item in items {
                    match self.value(item)? {
                        Value::Line(line) => lines.push(line),
                        Value::Lines(more) => lines.extend(more),
                        other => return Err(format!("a list is of time series, not {other:?}")),
                    }
                }
                Ok(Value::Lines(lines))
            }
            Expression::Call(name, arguments) => self.call(expression, name, arguments),
        }
    }

    fn call(&self, call: &Expression, name: &str, arguments: &[Expression]) -> Result<Value, String> {
        match name {
            "ANOMALY_DETECTION_BAND" => {
                let (id, width) =
                    call.band().ok_or("ANOMALY_DETECTION_BAND takes an id and a positive width")?;
                let subject = subject_of(self.queries, id).ok_or_else(|| format!("no query {id}"))?;
                let (lower, upper) = self.region.band(&subject, width, self.window).unwrap_or_default();
                Ok(Value::Band { lower, upper })
            }
            "METRICS" => {
                let wanted = match arguments {
                    [] => "",
                    [Expression::Text(text)] => text,
                    _ => return Err("METRICS takes a text at most".to_owned()),
                };
                let metrics = self.queries.iter().filter(|query| query.id.contains(wanted));
                let stats = metrics.filter_map(|query| query.metric_stat.as_ref());
                Ok(Value::Lines(stats.map(|stat| self.region.metrics.line(stat, self.window)).collect()))
            }
            _ => {
                let values =
                    arguments.iter().map(|argument| self.value(argument)).collect::<Result<Vec<_>, _>>()?;
                functions::call(name, &values, self.window)
            }
        }
    }
}

/// An operator on scalars, on a time series and a scalar, or point by point where both series have one.
pub(super) fn apply(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let of = |left: f64, right: f64| compute(operator, left, right);
    Ok(match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            Value::Scalar(of(*left, *right).ok_or("division by zero")?)
        }
        (Value::Line(line), Value::Scalar(right)) => map(line, |left| of(left, *right)),
        (Value::Scalar(left), Value::Line(line)) => map(line, |right| of(*left, right)),
        (Value::Line(left), Value::Line(right)) => {
            let both = left.iter().filter_map(|(at, left)| Some((*at, of(*left, *right.get(at)?)?)));
            Value::Line(both.collect())
        }
        (Value::Lines(lines), other) => each(lines, |line| apply(operator, &line, other))?,
        (other, Value::Lines(lines)) => each(lines, |line| apply(operator, other, &line))?,
        (left, right) => return Err(format!("{operator:?} can't be applied to {left:?} and {right:?}")),
    })
}

fn each(lines: &[Line], of: impl Fn(Value) -> Result<Value, String>) -> Result<Value, String> {
    let mut found = Vec::new();
    for line in lines {
        if let Value::Line(line) = of(Value::Line(line.clone()))? {
            found.push(line);
        }
    }
    Ok(Value::Lines(found))
}

pub(super) fn map(line: &Line, of: impl Fn(f64) -> Option<f64>) -> Value {
    Value::Line(line.iter().filter_map(|(at, value)| Some((*at, of(*value)?))).collect())
}

/// None where the result is no number: such a point is left out.
fn compute(operator: Operator, left: f64, right: f64) -> Option<f64> {
    let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
    #[expect(clippy::float_cmp, reason = "metric math compares exactly")]
    let value = match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Power => left.powf(right),
        Operator::Equal => truth(left == right),
        Operator::NotEqual => truth(left != right),
        Operator::Less => truth(left < right),
        Operator::LessOrEqual => truth(left <= right),
        Operator::Greater => truth(left > right),
        Operator::GreaterOrEqual => truth(left >= right),
        Operator::And => truth(left != 0.0 && right != 0.0),
        Operator::Or => truth(left != 0.0 || right != 0.0),
    };
    value.is_finite().then_some(value)
}

/// Every point in time at which one of the series has a value.
pub(super) fn times(lines: &[Line]) -> BTreeSet<Timestamp> {
    lines.iter().flat_map(|line| line.keys().copied()).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn operators_bind_as_usual() {
        let now = Timestamp::UNIX_EPOCH;
        let region = Region::new("1", "r", SignedDuration::ZERO, now);
        let window = Window { from: now, to: now, period: 60 };
        let evaluation = Evaluation { region: &region, queries: &[], window };
        for (text, expected) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("10 - 4 - 3", 3.0),
            ("8 / 4 / 2", 1.0),
            ("2 ^ 3 ^ 2", 512.0),
            ("-2 ^ 2", -4.0),
            ("2 * -3", -6.0),
            ("1.5e1 / .5", 30.0),
            ("1 + 1 == 2 AND 3 > 2", 1.0),
            ("5 <= 3 || 0 != 0", 0.0),
            ("ABS(-3) + CEIL(0.2) - FLOOR(1.8)", 3.0),
        ] {
            let value = evaluation.value(&Expression::parse(text).unwrap());
            assert_eq!(value, Ok(Value::Scalar(expected)), "{text}");
        }
        assert!(evaluation.value(&Expression::parse("1 / 0").unwrap()).is_err());
    }
}
