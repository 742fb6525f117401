//! What each kind of check can assert.

use serde_json::Value;

use super::schema::{Field, Found, Rule, below, fields, kind, may, needs, object};

/// One assertion of a check, as far as its operator doesn't decide.
struct Assertion {
    name: &'static str,
    operators: &'static [&'static str],
    /// What it is compared with, but for operators that have their own.
    value: Rule,
    further: &'static [Field],
}

const ORDER: [&str; 3] = ["EQUALS", "GREATER_THAN", "LESS_THAN"];
const TEXT: [&str; 5] = ["EQUALS", "NOT_EQUALS", "CONTAINS", "NOT_CONTAINS", "REGEX_MATCH"];

/// An assertion without an operator: its value says whether it is to hold.
const fn flag(name: &'static str) -> Assertion {
    Assertion { name, operators: &[], value: Rule::Flag, further: &[] }
}

const fn number(name: &'static str) -> Assertion {
    Assertion { name, operators: &ORDER, value: Rule::Number, further: &[] }
}

const fn text(
    name: &'static str,
    operators: &'static [&'static str],
    further: &'static [Field],
) -> Assertion {
    Assertion { name, operators, value: Rule::Text, further }
}

const HTTP: [Assertion; 4] = [
    Assertion {
        name: "STATUS_CODE",
        operators: &["EQUALS", "NOT_EQUALS", "GREATER_THAN", "LESS_THAN", "IN_RANGE"],
        value: Rule::Whole { least: 100, most: 599 },
        further: &[],
    },
    number("RESPONSE_TIME"),
    text(
        "HEADER",
        &["EQUALS", "NOT_EQUALS", "CONTAINS", "NOT_CONTAINS", "REGEX_MATCH", "EXIST"],
        &[needs("headerName", Rule::Filled)],
    ),
    Assertion {
        name: "BODY",
        operators: &["EQUALS", "NOT_EQUALS", "CONTAINS", "NOT_CONTAINS", "EXISTS"],
        value: Rule::Scalar,
        further: &[needs("target", Rule::OneOf(&["JSON", "TEXT"])), may("path", Rule::Filled)],
    },
];
const DNS: [Assertion; 5] = [
    text("RECORD_VALUE", &TEXT, &[]),
    number("RECORD_COUNT"),
    number("TTL"),
    flag("AUTHORITATIVE"),
    number("RESPONSE_TIME"),
];
const SSL: [Assertion; 6] = [
    Assertion {
        name: "CERTIFICATE_EXPIRY",
        operators: &["GREATER_THAN", "LESS_THAN"],
        value: Rule::Number,
        further: &[may("unit", Rule::OneOf(&["DAYS", "HOURS"]))],
    },
    flag("CERTIFICATE_VALID"),
    text(
        "CERTIFICATE_SUBJECT",
        &["CONTAINS", "EQUALS", "REGEX_MATCH"],
        &[needs("field", Rule::OneOf(&["CN", "O", "OU", "C", "ST", "L"]))],
    ),
    text("CERTIFICATE_ISSUER", &["CONTAINS", "EQUALS"], &[needs("field", Rule::OneOf(&["CN", "O"]))]),
    text("CIPHER_SUITE", &["CONTAINS", "NOT_CONTAINS"], &[]),
    flag("CERTIFICATE_TRANSPARENCY"),
];
const TCP: [Assertion; 4] = [
    flag("CONNECTION_SUCCESSFUL"),
    text(
        "RESPONSE_DATA",
        &["CONTAINS", "EQUALS", "NOT_CONTAINS", "REGEX_MATCH", "STARTS_WITH", "ENDS_WITH"],
        &[],
    ),
    number("RESPONSE_SIZE"),
    number("RESPONSE_TIME"),
];

const TYPE: [Field; 1] = [needs("type", Rule::Elsewhere)];
const OPERATOR: [Field; 1] = [needs("operator", Rule::Elsewhere)];
const RANGE: [Field; 2] = [
    needs("rangeMin", Rule::Whole { least: 100, most: 599 }),
    needs("rangeMax", Rule::Whole { least: 100, most: 599 }),
];

/// Checks an assertion of a step of this checker type.
pub(super) fn check(checker: &str, value: &Value, path: &str, found: &mut Found) {
    let Some(members) = object(value, path, found) else { return };
    let known: &[Assertion] = match checker {
        "HTTP" => &HTTP,
        "DNS" => &DNS,
        "SSL" => &SSL,
        _ => &TCP,
    };
    let names: Vec<&str> = known.iter().map(|assertion| assertion.name).collect();
    let Some(name) = kind(members, "type", &names, path, found) else { return };
    let Some(assertion) = known.iter().find(|assertion| assertion.name == name) else { return };
    if assertion.operators.is_empty() {
        fields(members, &[&TYPE, &[needs("value", assertion.value)]], path, found);
        return;
    }
    let Some(operator) = kind(members, "operator", assertion.operators, path, found) else { return };
    let compared: &[Field] = match operator {
        "IN_RANGE" => &RANGE,
        "EXIST" | "EXISTS" => &[needs("value", Rule::Flag)],
        "REGEX_MATCH" => &[needs("value", Rule::Regex)],
        _ => &[needs("value", assertion.value)],
    };
    fields(members, &[&TYPE, &OPERATOR, assertion.further, compared], path, found);
    let number = |key: &str| members.get(key).and_then(Value::as_i64);
    if number("rangeMin").zip(number("rangeMax")).is_some_and(|(least, most)| least > most) {
        found.add(&below(path, "rangeMin"), "must not be larger than rangeMax");
    }
    let target = members.get("target").and_then(Value::as_str);
    if target == Some("JSON") && !members.contains_key("path") {
        found.add(&below(path, "path"), "is required");
    }
    if target == Some("TEXT") && members.contains_key("path") {
        found.add(&below(path, "path"), "is for the target JSON only");
    }
}
