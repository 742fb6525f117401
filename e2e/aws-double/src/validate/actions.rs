//! What CloudWatch takes for an action (AWS: API_PutMetricAlarm, AlarmActions; API_PutCompositeAlarm).

use super::{Verdict, ensure};
use crate::state::MetricAlarm;

/// Actions are ARNs of the forms that the page lists.
pub(crate) fn valid(arn: &str) -> Verdict {
    ensure(has_a_known_form(arn), || format!("Invalid arn syntax: {arn}"))
}

pub(crate) fn service(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

pub(crate) fn is_of_ec2(arn: &str) -> bool {
    ["automate", "swf"].contains(&service(arn))
}

/// "If your alarm uses [ThresholdMetricId], it cannot have Auto Scaling actions." "Alarms based on math expressions can't
/// perform Amazon EC2 actions" (alarm-data-queries), and others need the instance (UsingAlarmActions).
pub(super) fn of_metric_alarm(alarm: &MetricAlarm) -> Verdict {
    let computed = alarm
        .metrics
        .iter()
        .any(|query| query.expression.is_some() && Some(&query.id) != alarm.threshold_metric_id.as_ref());
    let behind = alarm.metrics.iter().filter_map(|query| query.metric_stat.as_ref());
    let mut dimensions = alarm.dimensions.iter().chain(behind.flat_map(|stat| &stat.metric.dimensions));
    let has_instance = dimensions.any(|dimension| dimension.name == "InstanceId");
    for arn in alarm.ok_actions.iter().chain(&alarm.alarm_actions).chain(&alarm.insufficient_data_actions) {
        valid(arn)?;
        ensure(alarm.threshold_metric_id.is_none() || service(arn) != "autoscaling", || {
            format!("An anomaly detection alarm can't have the Auto Scaling action {arn}")
        })?;
        ensure(!is_of_ec2(arn) || !computed, || {
            format!("An alarm based on an expression can't have the EC2 action {arn}")
        })?;
        ensure(!is_of_ec2(arn) || has_instance, || {
            format!("The EC2 action {arn} needs a metric with the dimension InstanceId")
        })?;
    }
    Ok(())
}

fn has_a_known_form(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, service, region, account, resource] = parts.as_slice() else { return false };
    let here = is_region(region) && is_account(account);
    let printable = arn.chars().all(|c| matches!(c, ' '..='~'));
    let takes = match *service {
        "sns" => here && !resource.is_empty() && resource.chars().all(is_of_a_topic),
        "lambda" => {
            here && resource
                .strip_prefix("function:")
                .is_some_and(|name| !name.is_empty() && !name.contains(' '))
        }
        "automate" => {
            is_region(region)
                && *account == "ec2"
                && ["stop", "terminate", "reboot", "recover"].contains(resource)
        }
        "swf" => {
            here && resource.strip_prefix("action/actions/AWS_EC2.InstanceId.").is_some_and(is_of_an_instance)
        }
        "autoscaling" => here && resource.starts_with("scalingPolicy:") && resource.contains(":policyName/"),
        "ssm" => here && resource.strip_prefix("opsitem:").is_some_and(is_of_an_item),
        "ssm-incidents" => {
            region.is_empty()
                && is_account(account)
                && resource
                    .strip_prefix("responseplan/")
                    .is_some_and(|name| !name.is_empty() && !name.contains(' '))
        }
        "aiops" => here && resource.starts_with("investigation-group") && !resource.contains(' '),
        _ => false,
    };
    partition.starts_with("aws") && printable && takes
}

fn is_of_a_topic(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

fn is_of_an_instance(action: &str) -> bool {
    ["Stop/1.0", "Terminate/1.0", "Reboot/1.0", "Recover/1.0"].contains(&action)
}

/// `severity#CATEGORY=category-name`
fn is_of_an_item(item: &str) -> bool {
    let (severity, category) = item.split_once('#').unwrap_or((item, "CATEGORY=Availability"));
    ["1", "2", "3", "4"].contains(&severity)
        && category.strip_prefix("CATEGORY=").is_some_and(|name| !name.is_empty())
}

fn is_region(text: &str) -> bool {
    text.split('-').count() >= 3
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && text.ends_with(|last: char| last.is_ascii_digit())
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|c| c.is_ascii_digit())
}
