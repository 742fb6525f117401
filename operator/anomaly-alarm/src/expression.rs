//! What an expression of metric math refers to, as far as that can be told without CloudWatch (using-metric-math). Pure.

use std::collections::{BTreeMap, BTreeSet};

use tidewatch_crds::anomaly_alarm::{ExpressionMetric, Query};

/// Functions that read data which no query names.
const READERS: [&str; 3] = ["DB_PERF_INSIGHTS", "INSIGHT_RULE_METRIC", "LAMBDA"];

/// Whether CloudWatch has to be told the period of this expression: it takes it from the metrics that an expression is
/// computed of, and there are none behind a query of Metrics Insights, and behind what a function reads.
pub(super) fn reads_data_itself(expression: &str) -> bool {
    let words = words(expression);
    is_insights(expression)
        || words.iter().any(|word| READERS.iter().any(|reader| reader.eq_ignore_ascii_case(word)))
        || !words.iter().any(|word| is_id(word))
}

/// What keeps CloudWatch from computing `math`: brackets without their other half, names that no query has, and circles.
pub(super) fn refusals(math: &ExpressionMetric) -> Vec<String> {
    let uses: BTreeMap<&str, BTreeSet<&str>> =
        math.queries.iter().map(|query| (query.id.as_str(), used(query))).collect();
    let mut refused = Vec::new();
    for query in &math.queries {
        let mut refuse = |mend: String| {
            refused.push(format!("spec.metric.expression.queries[{}].expression: {mend}", query.id));
        };
        if let Some(mend) = query.expression.as_deref().and_then(unbalanced) {
            refuse(mend);
        }
        let unknown: Vec<&str> = uses
            .get(query.id.as_str())
            .into_iter()
            .flatten()
            .copied()
            .filter(|id| !uses.contains_key(id))
            .collect();
        if !unknown.is_empty() {
            let ids = uses.keys().copied().collect::<Vec<_>>().join(", ");
            refuse(format!("it uses {}, which no query is called: the ids are {ids}", unknown.join(" and ")));
        }
        // Each circle is told once, at the first of its ids.
        if let Some(circle) =
            circle(&query.id, &uses).filter(|circle| circle.iter().min() == Some(&query.id.as_str()))
        {
            refuse(format!(
                "it goes in a circle ({} → {}): let one of them refer to metrics only",
                circle.join(" → "),
                query.id
            ));
        }
    }
    refused
}

fn is_insights(expression: &str) -> bool {
    let mut words = expression.split_whitespace();
    words.next().is_some_and(|first| first.eq_ignore_ascii_case("select")) && words.next().is_some()
}

/// The ids that a query refers to.
fn used(query: &Query) -> BTreeSet<&str> {
    let Some(expression) = query.expression.as_deref().filter(|expression| !is_insights(expression)) else {
        return BTreeSet::new();
    };
    words(expression).into_iter().filter(|word| is_id(word)).collect()
}

/// Ids begin with a small letter, functions with a capital, numbers with neither.
fn is_id(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
}

/// The names and numbers of an expression; text in quotes is none.
fn words(expression: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut begun: Option<usize> = None;
    for (at, c) in unquoted(expression).chain([(expression.len(), ' ')]) {
        if c.is_ascii_alphanumeric() || c == '_' || c == '.' {
            begun = begun.or(Some(at));
        } else {
            found.extend(begun.take().and_then(|begun| expression.get(begun..at)));
        }
    }
    found
}

/// The characters that aren't in quotes; of a text in quotes only the quotes.
fn unquoted(expression: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    expression.char_indices().filter(move |(_, c)| match quote {
        Some(open) => {
            let closes = *c == open;
            if closes {
                quote = None;
            }
            closes
        }
        None => {
            quote = Some(*c).filter(|c| matches!(c, '"' | '\''));
            true
        }
    })
}

/// A bracket without its other half, and what to write.
fn unbalanced(expression: &str) -> Option<String> {
    let mut open = Vec::new();
    let mut quotes = 0;
    for (at, c) in unquoted(expression) {
        let place = || {
            format!("the {c} at character {}", expression.get(..at).unwrap_or_default().chars().count() + 1)
        };
        match c {
            '(' => open.push((')', place())),
            '[' => open.push((']', place())),
            ')' | ']' if open.last().is_some_and(|(close, _)| *close == c) => drop(open.pop()),
            ')' | ']' => {
                return Some(format!("{} closes nothing: remove it, or write its other half", place()));
            }
            '"' | '\'' => quotes += 1,
            _ => {}
        }
    }
    if quotes % 2 == 1 {
        return Some("a quote isn't closed: write its other half".to_owned());
    }
    open.pop().map(|(close, place)| format!("{place} isn't closed: write its {close}"))
}

/// The ids through which `id` refers to itself, itself first.
fn circle<'a>(id: &'a str, uses: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let mut seen = BTreeSet::new();
    let mut next = vec![vec![id]];
    while let Some(path) = next.pop() {
        let last = path.last().copied().unwrap_or_default();
        for used in uses.get(last).into_iter().flatten().copied() {
            if used == id {
                return Some(path);
            }
            if seen.insert(used) {
                next.push(path.iter().copied().chain([used]).collect());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(queries: serde_json::Value) -> String {
        refusals(&serde_json::from_value(json!({"queries": queries, "returns": "a"})).unwrap()).join("\n")
    }

    #[test]
    fn good_expressions_are_left_to_cloudwatch() {
        let metric = json!({"namespace": "A", "metricName": "B"});
        for good in [
            "100 * errors / requests",
            "IF(m1 > 1e3, 1, 0)",
            "FILL(m1, 0)",
            "SUM([m1, errors])",
            "RATE(m1) * 2.5",
            "SLICE(m1, 'hour (0-23')",
            "INSIGHT_RULE_METRIC(\"rule)\", \"Sum\") / m1",
            "SELECT AVG(CPUUtilization) FROM SCHEMA(\"AWS/EC2\", InstanceId) where x = 'y'",
            "SELECT\nAVG(b) FROM c",
        ] {
            let ids = ["errors", "m1", "requests"].map(|id| json!({"id": id, "metric": metric}));
            let queries: Vec<_> = ids.into_iter().chain([json!({"id": "a", "expression": good})]).collect();
            assert_eq!(refused(json!(queries)), "", "{good}");
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once_each_with_its_query() {
        let queries = json!([
            {"id": "a", "expression": "b + x"},
            {"id": "b", "expression": "MAX([c, d)"},
            {"id": "c", "expression": "a * 2"},
            {"id": "d", "expression": "FILL(d, 'REPEAT)"},
            {"id": "e", "expression": "SUM(y, z))"},
        ]);
        let field = |id: &str, mend: &str| format!("spec.metric.expression.queries[{id}].expression: {mend}");
        let told = [
            field("a", "it uses x, which no query is called: the ids are a, b, c, d, e"),
            field("a", "it goes in a circle (a → b → c → a): let one of them refer to metrics only"),
            field("b", "the ) at character 10 closes nothing: remove it, or write its other half"),
            field("d", "a quote isn't closed: write its other half"),
            field("d", "it goes in a circle (d → d): let one of them refer to metrics only"),
            field("e", "the ) at character 10 closes nothing: remove it, or write its other half"),
            field("e", "it uses y and z, which no query is called: the ids are a, b, c, d, e"),
        ];
        assert_eq!(refused(queries), told.join("\n"));
        assert!(
            refused(json!([{"id": "a", "expression": "ABS((1)"}]))
                .contains("the ( at character 4 isn't closed: write its )")
        );
    }

    #[test]
    fn the_period_is_told_where_no_metric_has_it() {
        for reads in [
            "SELECT AVG(b) FROM c",
            "select\n\tavg(b) FROM c",
            " SELECT\tAVG(b) FROM c",
            "INSIGHT_RULE_METRIC('rule', 'Sum')",
            "DB_PERF_INSIGHTS('RDS', 'db-1', 'os.cpuUtilization.user.avg')",
            "100 * INSIGHT_RULE_METRIC('rule', 'Sum') / m1",
            "LAMBDA('connector', 'query')",
            "TIME_SERIES(1)",
        ] {
            assert!(reads_data_itself(reads), "{reads}");
        }
        for computed in ["m1 * 2", "selected + 1", "FILL(m1, REPEAT)", "IF(m1 > 5, m2)"] {
            assert!(!reads_data_itself(computed), "{computed}");
        }
    }
}
