//! What is refused, with what the answer must say, and what is accepted. In the lines of a spec CPU, BAND and ABOVE stand
//! for the constants.

mod accepted;
mod around;
mod metric;

pub(super) use accepted::ACCEPTED;

/// A good metric and a good condition, so that each case shows one mistake.
pub(super) const CPU: &str = "metric: {cloudWatch: {namespace: AWS/EC2, metricName: CPUUtilization}}";
pub(super) const BAND: &str = "condition: {band: {width: 2}}";
pub(super) const ABOVE: &str = "condition: {threshold: {operator: GreaterThan, value: 80}}";

/// What is wrong, the lines of the spec, what the answer must say.
pub(super) type Case = (&'static str, &'static [&'static str], &'static str);

pub(super) fn refused() -> impl Iterator<Item = &'static Case> {
    metric::REFUSED.iter().chain(around::REFUSED)
}
