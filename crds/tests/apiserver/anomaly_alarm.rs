//! The rules of AnomalyAlarm: what CloudWatch would refuse is refused at apply, with what to write.

mod cases;

use self::cases::{ABOVE, ACCEPTED, BAND, CPU, refused};
use crate::control_plane::ControlPlane;
use crate::{install, judge, yaml_files};

fn manifest(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| match *line {
            "CPU" => CPU,
            "BAND" => BAND,
            "ABOVE" => ABOVE,
            line => line,
        })
        .collect();
    let spec = if lines.is_empty() { "  {}".to_owned() } else { format!("  {}", lines.join("\n  ")) };
    format!("apiVersion: tidewatch.dev/v1alpha1\nkind: AnomalyAlarm\nmetadata: {{name: t}}\nspec:\n{spec}\n")
}

#[test]
fn an_api_server_refuses_what_cloudwatch_would_refuse_with_what_to_write() {
    assert!(refused().count() >= 110, "{}", refused().count());
    let server = ControlPlane::start();
    install(&server, "anomalyalarms");

    let wrong = refused().map(|(what, lines, says)| (*what, manifest(lines), *says));
    let accepted = ACCEPTED.iter().map(|lines| manifest(lines));
    judge(&server, wrong, accepted, &yaml_files("docs/recommended-alarms"));

    defaults_are_filled_in(&server);
    names_and_columns_are_as_documented(&server);
}

fn defaults_are_filled_in(server: &ControlPlane) {
    server.kubectl(&["create", "-f", "-"], Some(&manifest(&["CPU", "condition: {band: {}}"]))).unwrap();
    let spec = server.kubectl(&["get", "anomalarm", "t", "-o", "jsonpath={.spec}"], None).unwrap();
    for part in [
        r#""period":"5m""#,
        r#""statistic":"Average""#,
        r#""width":2"#,
        r#""breach":"Outside""#,
        r#""evaluation":{"missingData":"Missing","periods":3}"#,
        r#""deletionPolicy":"Delete""#,
        r#""suspend":false"#,
    ] {
        assert!(spec.contains(part), "{part} isn't in {spec}");
    }
}

fn names_and_columns_are_as_documented(server: &ControlPlane) {
    let table = server.kubectl(&["get", "anomalarm"], None).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(header, ["NAME", "STATE", "SINCE", "VALUE", "BAND", "TRAINING", "READY", "AS-OF", "AGE"]);
}
