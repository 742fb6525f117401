//! The table of traffic by category.

use tidewatch_crds::network_monitor::{NetworkMonitorStatus, Traffic};

/// The traffic of a status as lines of text, columns aligned.
pub fn table(status: &NetworkMonitorStatus) -> Vec<String> {
    let mut rows = vec![
        ["CATEGORY", "RTT P50", "RTT P99", "RETRANSMISSIONS", "TIME-OUTS", "BYTES", "FLOWS"]
            .map(str::to_owned),
    ];
    rows.extend(status.traffic.iter().map(row));
    let mut lines = Vec::new();
    for row in &rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        lines.push(cells.collect::<Vec<_>>().join("  "));
    }
    lines
}

fn row(traffic: &Traffic) -> [String; 7] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        // As the API writes it.
        serde_json::to_value(traffic.category).map_or_else(|_| String::new(), text),
        or_dash(&traffic.rtt_p50),
        or_dash(&traffic.rtt_p99),
        traffic.retransmissions.to_string(),
        traffic.timeouts.to_string(),
        bytes(traffic.bytes),
        traffic.flows.to_string(),
    ]
}

fn text(value: serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_bytes_are_readable() {
        let status = serde_json::from_value(serde_json::json!({"traffic": [
            {"category": "InterAZ", "rttP50": "0.52ms", "retransmissions": 9, "timeouts": 0, "bytes": 812_345, "flows": 88},
        ]}))
        .unwrap();
        let lines = table(&status);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), lines[1].len());
        assert!(lines[1].contains("812.3 kB"), "{}", lines[1]);
    }
}
