//! ARNs of what CloudWatch does when an alarm changes its state (API_PutMetricAlarm, AlarmActions;
//! of aiops also the user guide's Investigations-configure-alarms).

use schemars::{Schema, SchemaGenerator, json_schema};

/// The pattern of an ARN after its service, for each service. The account has twelve digits, and only names that Auto
/// Scaling gives may have blanks.
const FORMS: [(&str, &str); 8] = [
    ("sns", "REGION:ACCOUNT:[A-Za-z0-9_-]{1,256}([.]fifo)?"),
    ("lambda", "REGION:ACCOUNT:function:[A-Za-z0-9_-]+(:([$]LATEST|[A-Za-z0-9_-]+))?"),
    ("automate", "REGION:ec2:(stop|terminate|reboot|recover)"),
    ("swf", "REGION:ACCOUNT:action/actions/AWS_EC2[.]InstanceId[.](Stop|Terminate|Reboot|Recover)/1[.]0"),
    ("autoscaling", "REGION:ACCOUNT:scalingPolicy:[!-~]+:policyName/[ -~]+"),
    ("ssm", "REGION:ACCOUNT:opsitem:[1-4](#CATEGORY=[A-Za-z]+)?"),
    ("ssm-incidents", ":ACCOUNT:responseplan/[A-Za-z0-9_-]+"),
    ("aiops", "REGION:ACCOUNT:investigation-group[:/][A-Za-z0-9_-]+(#DEDUPE_STRING=[!-~]+)?"),
];

/// The schema of up to five actions. Each has the rules itself, so that the answer names the one that is wrong.
pub(crate) fn action_arns(_: &mut SchemaGenerator) -> Schema {
    let services = FORMS.map(|(service, _)| service).join("|");
    let forms = FORMS.map(|(service, form)| {
        let form = form.replace("REGION", "[a-z]{2,4}(-[a-z]+)+-[0-9]+").replace("ACCOUNT", "[0-9]{12}");
        format!("{service}:{form}")
    });
    let known = format!("^arn:aws[a-z-]*:({services}):");
    let whole = format!("^arn:aws[a-z-]*:({})$", forms.join("|"));
    json_schema!({
        "type": "array",
        "maxItems": 5,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "x-kubernetes-validations": [
                {
                    "rule": format!("self.matches('{known}')"),
                    "message": "not an action that CloudWatch knows: write an ARN, such as arn:aws:sns:ap-northeast-1:123456789012:on-call; it starts those of sns, lambda, automate and swf (EC2), autoscaling, ssm, ssm-incidents and aiops",
                },
                {
                    "rule": format!("!self.matches('{known}') || self.matches('{whole}')"),
                    "message": "not the ARN of an action: write it in full, with its Region, an account of twelve digits and no blanks, such as arn:aws:sns:ap-northeast-1:123456789012:on-call or arn:aws:automate:ap-northeast-1:ec2:recover",
                },
            ],
        },
    })
}
