//! Tests of the whole command, from the CSV file that it reads to the files that it writes.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// Runs the command on a series in a directory of its own, and returns its CSV and picture.
fn command(series: &str, options: &[&str]) -> anyhow::Result<(String, String)> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("in.csv"), series)?;
    let (input, output, plot) = (path("in.csv"), path("out.csv"), path("out.svg"));
    let fixed = ["band", &input, "--output", &output, "--plot", &plot];
    run(&Cli::try_parse_from(fixed.into_iter().chain(options.iter().copied()))?.args)?;
    Ok((std::fs::read_to_string(&output)?, std::fs::read_to_string(&plot)?))
}

fn series() -> String {
    let mut text = "timestamp,value\n".to_owned();
    for index in 0..600_i64 {
        let value =
            50 + index * 7919 % 13 + if index == 500 { 400 } else { 0 } - if index == 550 { 45 } else { 0 };
        text.push_str(&format!("{},{value}\n", 1_767_225_600 + index * 300));
    }
    text
}

fn breaches(csv: &str) -> Vec<usize> {
    (0..).zip(csv.lines().skip(1)).filter(|(_, line)| line.ends_with(",1")).map(|(index, _)| index).collect()
}

#[test]
fn a_spike_and_a_dip_are_breaches_on_their_sides() {
    let (csv, svg) = command(&series(), &["--width", "4"]).unwrap();
    assert_eq!(csv.lines().next(), Some("timestamp,value,expected,lower,upper,score,state,breach"));
    assert_eq!(csv.lines().count(), 601);
    assert_eq!(breaches(&csv), [500, 550]);
    assert!(csv.lines().nth(501).unwrap().contains(",ALARM,1"));
    assert!(csv.lines().nth(1).unwrap().ends_with(",,,,0.0000,INSUFFICIENT_DATA,0"));
    assert_eq!(svg.matches("<circle").count(), 3, "two breaches and one in the legend");
    assert!(!csv.contains(",-0.0000,"), "a score of 0 has no sign");
    let (csv, _) = command(&series(), &["--width", "4", "--breach", "below"]).unwrap();
    assert_eq!(breaches(&csv), [550]);
}

#[test]
fn two_of_three_ignores_a_single_breach() {
    let (csv, _) = command(&series(), &["--width", "4", "--periods", "3", "--datapoints", "2"]).unwrap();
    assert_eq!(breaches(&csv), [500, 550]);
    assert!(!csv.contains("ALARM,"));
}

#[test]
fn a_wrong_option_is_refused_with_an_example() {
    let refused = |options: &[&str]| format!("{:#}", command(&series(), options).unwrap_err());
    assert!(
        refused(&["--periods", "2", "--datapoints", "3"]).contains("--datapoints 3 is more than --periods 2")
    );
    assert!(refused(&["--timezone", "Mars/Olympus"]).contains("Europe/Berlin"));
    assert!(refused(&["--width", "0"]).contains("0.1"));
    assert!(refused(&["--exclude", "2026-01-02"]).contains("START/END"));
    assert!(refused(&["--exclude", "2026-01-02/2026-01-01"]).contains("the end isn't after the start"));
}

#[test]
fn the_examples_of_the_options_are_accepted() {
    let options = [
        "--exclude",
        "2026-12-24/2026-12-27",
        "--timezone",
        "Europe/Berlin",
        "--adaptation",
        "2",
        "--kind",
        "gauge",
    ];
    assert!(command(&series(), &options).is_ok());
}

#[test]
fn the_plot_labels_round_local_times() {
    let (_, svg) = command(&series(), &["--timezone", "Asia/Kolkata"]).unwrap();
    assert!(svg.contains(">01-01 12:00<") && svg.contains(">01-02 00:00<"), "{svg}");
    assert!(svg.contains("times in Asia/Kolkata"), "{svg}");
}

#[test]
fn a_series_without_values_is_plotted_empty() {
    let (csv, svg) = command("1,\n2,NaN\n", &[]).unwrap();
    assert_eq!(csv.lines().count(), 3);
    assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
}
