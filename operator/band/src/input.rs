//! Reading the series from CSV.

use std::io::Read;

use anyhow::{Context, bail, ensure};
use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, tz::TimeZone};

/// Numbers larger than this are milliseconds since 1970: as seconds they would be after the year 5138.
const LARGEST_SECONDS: f64 = 1e11;

/// A value and its time; a missing value is NaN.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) at: Timestamp,
    pub(crate) value: f64,
}

/// Reads all rows. Only the first may be a header.
pub(crate) fn read(from: impl Read, zone: &TimeZone) -> anyhow::Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(from);
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.context("the CSV can't be read")?;
        let line = record.position().map_or(index as u64 + 1, csv::Position::line);
        match row(&record, zone) {
            Ok(row) => rows.push(row),
            // A first line without digits in its timestamp is a header; a mistyped timestamp has digits.
            Err(_)
                if index == 0
                    && !record.get(0).unwrap_or_default().contains(|c: char| c.is_ascii_digit()) => {}
            Err(error) => return Err(error.context(format!("line {line}"))),
        }
    }
    ensure!(!rows.is_empty(), "there are no values; write lines such as 2026-01-01T00:00:00Z,12.5");
    Ok(rows)
}

fn row(record: &csv::StringRecord, zone: &TimeZone) -> anyhow::Result<Row> {
    let (Some(at), Some(value)) = (record.get(0), record.get(1)) else {
        bail!("it has one column; write timestamp,value");
    };
    Ok(Row { at: time(at, zone).context("column timestamp")?, value: number(value)? })
}

fn number(text: &str) -> anyhow::Result<f64> {
    if ["", "nan", "null", "na"].iter().any(|missing| text.eq_ignore_ascii_case(missing)) {
        return Ok(f64::NAN);
    }
    let value: f64 = text.parse().map_err(|_| {
        anyhow::anyhow!("column value: {text:?} is no number; leave it empty where a value is missing")
    })?;
    Ok(if value.is_finite() { value } else { f64::NAN })
}

/// Parses a timestamp: RFC 3339, local time in the zone, or seconds or milliseconds since 1970.
pub(crate) fn time(text: &str, zone: &TimeZone) -> anyhow::Result<Timestamp> {
    let text = text.trim();
    if let Some(epoch) = text.parse::<f64>().ok().filter(|epoch| epoch.is_finite()) {
        let seconds = if epoch.abs() > LARGEST_SECONDS { epoch / 1000.0 } else { epoch };
        return Timestamp::from_second(seconds.floor() as i64)
            .with_context(|| format!("{text:?} is out of range; write seconds since 1970"));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let civil = text
        .parse::<DateTime>()
        .or_else(|_| text.parse::<Date>().map(|date| date.to_datetime(Time::midnight())));
    let civil = civil.map_err(|_| {
        anyhow::anyhow!("{text:?} is no time; write 2026-01-31T12:00:00Z, 2026-01-31 12:00:00 or 1769860800")
    })?;
    Ok(civil.to_zoned(zone.clone()).with_context(|| format!("{text:?} in the time zone"))?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_timestamp_is_read() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31 13:00:00",
            "2026-01-31T13:00:00",
            "1769860800",
            "1769860800000",
        ] {
            assert_eq!(time(text, &zone).unwrap().as_second(), 1_769_860_800, "{text}");
        }
    }

    #[test]
    fn a_header_and_missing_values_are_allowed() {
        let rows = read("timestamp,value\n1,2\n2,\n3,NaN\n".as_bytes(), &TimeZone::UTC).unwrap();
        assert_eq!(rows.len(), 3);
        assert!(rows[1].value.is_nan() && rows[2].value.is_nan());
    }

    #[test]
    fn an_error_names_line_column_and_mend() {
        let error = read("1,2\n2,x\n".as_bytes(), &TimeZone::UTC).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("line 2") && text.contains("column value") && text.contains("leave it empty"),
            "{text}"
        );
        let text = format!("{:#}", read("2026-13-01,2\n".as_bytes(), &TimeZone::UTC).unwrap_err());
        assert!(text.contains("line 1") && text.contains("column timestamp"), "{text}");
        assert!(read("".as_bytes(), &TimeZone::UTC).is_err());
        assert!(read("1,2\nnan,2\n".as_bytes(), &TimeZone::UTC).is_err());
    }
}
