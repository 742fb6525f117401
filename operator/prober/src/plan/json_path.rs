//! JSON paths (RFC 9535) that take time and memory in proportion to the answer.
//!
//! The library evaluates every path, also one that goes through the whole answer once for each of its values: on a body
//! of a mebibyte that takes hours, or all memory, in the middle of a task that nothing can interrupt. Such paths are
//! refused, and before they are parsed, since nested filters take the library's parser exponential time too.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use regex::{Regex, RegexBuilder};
use serde_json::Value;
use serde_json_path::functions::{LogicalType, ValueType};
use serde_json_path::{JsonPath, NodeList};

use super::PATTERN_LIMIT;
use super::error::{Field, PlanError, Problem};

/// Commas between selectors that a path may have: each pair of brackets multiplies the values that are found by the
/// number of its selectors.
pub(super) const MOST_COMMAS: usize = 4;

/// How deep filters may be nested: the parser reads what is within a filter at least twice.
const MOST_FILTERS: usize = 2;

/// How deep brackets and parentheses may be nested: the parser calls itself for each.
pub(super) const DEEPEST: usize = 16;

/// A JSON path, ready for answers.
pub(crate) struct JsonQuery {
    path: JsonPath,
    /// Keeps the compiled patterns that the path's functions look up.
    _patterns: Vec<Arc<Regex>>,
}

impl JsonQuery {
    pub(super) fn new(field: &Field, path: &str) -> Result<Self, PlanError> {
        let calls = scan(path).map_err(|problem| field.problem(problem))?;
        let parsed =
            JsonPath::parse(path).map_err(|error| field.problem(not_understood(path, error.position())))?;
        let patterns = calls
            .into_iter()
            .map(|(function, pattern)| function.compiled(&pattern))
            .collect::<Result<_, _>>()
            .map_err(|error| field.problem(Problem::Pattern(error)))?;
        Ok(Self { path: parsed, _patterns: patterns })
    }

    /// The values of `json` that the path finds.
    pub(crate) fn query<'a>(&self, json: &'a Value) -> NodeList<'a> {
        self.path.query(json)
    }
}

impl fmt::Display for JsonQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// Shows the place, since the parser's words are about its grammar.
fn not_understood(path: &str, position: usize) -> Problem {
    let rest: String = path.chars().skip(position.saturating_sub(1)).take(24).collect();
    Problem::JsonPath(if rest.is_empty() {
        "it ends too early".to_owned()
    } else {
        format!("{rest:?} isn't understood")
    })
}

/// The compiled patterns of a function, for as long as a path uses them. The library hands a function the text of its
/// pattern anew for each value that it is asked about.
struct Patterns {
    /// What stands before and after a pattern.
    around: (&'static str, &'static str),
    known: RwLock<Option<HashMap<String, Weak<Regex>>>>,
}

static MATCH: Patterns = Patterns { around: ("^(?:", ")$"), known: RwLock::new(None) };
static SEARCH: Patterns = Patterns { around: ("(?:", ")"), known: RwLock::new(None) };

impl Patterns {
    fn compiled(&self, pattern: &str) -> Result<Arc<Regex>, regex::Error> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(regex) = known.get(pattern).and_then(Weak::upgrade) {
            return Ok(regex);
        }
        let (before, after) = self.around;
        let regex = RegexBuilder::new(&format!("{before}{pattern}{after}"))
            // As RFC 9485 has it: a dot is any character but those that end a line.
            .crlf(true)
            .size_limit(PATTERN_LIMIT)
            .dfa_size_limit(PATTERN_LIMIT)
            .build()?;
        let regex = Arc::new(regex);
        known.retain(|_, regex| regex.strong_count() > 0);
        known.insert(pattern.to_owned(), Arc::downgrade(&regex));
        Ok(regex)
    }

    fn holds(&self, value: &ValueType<'_>, pattern: &ValueType<'_>) -> LogicalType {
        let (Some(Value::String(text)), Some(Value::String(pattern))) =
            (value.as_value(), pattern.as_value())
        else {
            return LogicalType::False;
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let regex = known.as_ref().and_then(|known| known.get(pattern)).and_then(Weak::upgrade);
        drop(known);
        regex.is_some_and(|regex| regex.is_match(text)).into()
    }
}

#[serde_json_path::function(name = "match")]
fn match_all(value: ValueType, pattern: ValueType) -> LogicalType {
    MATCH.holds(&value, &pattern)
}

#[serde_json_path::function(name = "search")]
fn search_within(value: ValueType, pattern: ValueType) -> LogicalType {
    SEARCH.holds(&value, &pattern)
}

/// A pattern of a path, and the function that it is for.
type Call = (&'static Patterns, String);

/// What is open at a place of a path.
enum Open<'a> {
    Bracket {
        filters: bool,
    },
    /// Parentheses; where they are those of `match` or `search`, with what is written for the pattern.
    Parenthesis {
        function: Option<&'static Patterns>,
        arguments: usize,
        pattern: Vec<&'a str>,
    },
}

/// What is known of a path up to a place.
#[derive(Default)]
struct Scan<'a> {
    open: Vec<Open<'a>>,
    before: &'a str,
    /// The name that ends here.
    word: String,
    commas: usize,
    descents: usize,
    calls: Vec<Call>,
}

/// The patterns of a path's functions; an error where evaluating it, or parsing it, could take too much. A text that is no
/// path at all may be taken: the parser refuses it.
fn scan(path: &str) -> Result<Vec<Call>, Problem> {
    let mut scan = Scan::default();
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        let length = if matches!(c, '\'' | '"') { quoted_length(rest) } else { c.len_utf8() };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        scan.token(token, rest.len() == path.len())?;
        scan.before = token;
        rest = after;
    }
    Ok(scan.calls)
}

impl<'a> Scan<'a> {
    fn token(&mut self, token: &'a str, is_first: bool) -> Result<(), Problem> {
        match token {
            "[" => self.open(Open::Bracket { filters: false })?,
            "(" => {
                let function = match self.word.as_str() {
                    "match" => Some(&MATCH),
                    "search" => Some(&SEARCH),
                    _ => None,
                };
                self.open(Open::Parenthesis { function, arguments: 0, pattern: Vec::new() })?;
            }
            "]" | ")" => self.close()?,
            "?" => self.filter()?,
            "," => self.comma()?,
            "." if self.before == "." => {
                self.descents += 1;
                if self.descents > 1 {
                    return Err(Problem::JsonPathDescents);
                }
            }
            "$" if !is_first => return Err(Problem::JsonPathRoot),
            _ => {
                if let Some(Open::Parenthesis { arguments: 1, pattern, .. }) = self.open.last_mut()
                    && !token.trim().is_empty()
                {
                    pattern.push(token);
                }
            }
        }
        match token.chars().next() {
            Some(c) if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' => self.word.push(c),
            _ => self.word.clear(),
        }
        Ok(())
    }

    fn open(&mut self, open: Open<'a>) -> Result<(), Problem> {
        self.open.push(open);
        if self.open.len() > DEEPEST { Err(Problem::JsonPathDepth) } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(Open::Parenthesis { function: Some(function), pattern, .. }) = self.open.pop() else {
            return Ok(());
        };
        let [pattern] = pattern.as_slice() else { return Err(Problem::JsonPathPattern) };
        if !pattern.starts_with(['\'', '"']) {
            return Err(Problem::JsonPathPattern);
        }
        self.calls.extend(literal(pattern).map(|pattern| (function, pattern)));
        Ok(())
    }

    fn filter(&mut self) -> Result<(), Problem> {
        let is_within = |open: &Open<'_>| matches!(open, Open::Bracket { filters: true });
        match self.open.split_last_mut() {
            Some((_, outer)) if outer.iter().filter(|open| is_within(open)).count() >= MOST_FILTERS => {
                return Err(Problem::JsonPathFilters);
            }
            Some((Open::Bracket { filters }, _)) => *filters = true,
            _ => {}
        }
        Ok(())
    }

    fn comma(&mut self) -> Result<(), Problem> {
        match self.open.last_mut() {
            Some(Open::Parenthesis { arguments, .. }) => *arguments += 1,
            _ => self.commas += 1,
        }
        if self.commas > MOST_COMMAS { Err(Problem::JsonPathCommas) } else { Ok(()) }
    }
}

/// Bytes of the text in quotes that `rest` begins with, quotes included.
fn quoted_length(rest: &str) -> usize {
    let quote = rest.chars().next();
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if Some(c) == quote && !escaped {
            return at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// What a text in quotes stands for: it is written as in JSON, but for the quotes.
fn literal(quoted: &str) -> Option<String> {
    if quoted.starts_with('"') {
        return serde_json::from_str(quoted).ok();
    }
    let mut json = String::from('"');
    let mut escaped = false;
    for c in quoted.strip_prefix('\'')?.strip_suffix('\'')?.chars() {
        match (escaped, c) {
            (true, '\'') => json.push('\''),
            (true, c) => json.extend(['\\', c]),
            (false, '"') => json.push_str("\\\""),
            (false, '\\') => {}
            (false, c) => json.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    json.push('"');
    serde_json::from_str(&json).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(path: &str) -> Result<JsonQuery, String> {
        JsonQuery::new(&Field::new("path"), path).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_that_take_too_much_are_refused() {
        let nested = |depth: usize| format!("$[?{}@.a{}]", "(".repeat(depth), ")".repeat(depth));
        for (path, part) in [
            ("$..a..b", "uses .. more than once"),
            ("$..*..*..*", "uses .. more than once"),
            (r#"$["\\"]..a..b"#, "uses .. more than once"),
            ("$[?@..a]..b", "uses .. more than once"),
            (&format!("${}", "[0,0]".repeat(30)), "more than 4 commas"),
            ("$[0:9,0:9][*,*,*][*,*,*]", "more than 4 commas"),
            ("$[?@[0,0][0,0][0,0]][0,0][0,0]", "more than 4 commas"),
            ("$[?count($[*])>0]", "$ within a filter"),
            ("$[?$==$]", "$ within a filter"),
            ("$[?@[?@[?@.a]]]", "filters nested"),
            (&format!("$[?{}@.a{}", "@[?".repeat(100), "]".repeat(101)), "filters nested"),
            ("$[?count(@[?count(@[?@.a])>1])>1]", "filters nested"),
            (&nested(200), "brackets and parentheses"),
            ("$..[?search(@,'(a{900}){900}')]", "takes too much memory"),
            ("$[?match(@.a,'(')]", "not a regular expression"),
            ("$[?search(@.text, @.pattern)]", "write the pattern of match and search in quotes"),
            ("$[?search(@.text, value(@.*))]", "write the pattern of match and search in quotes"),
        ] {
            let error = query(path).err().unwrap_or_else(|| panic!("{path} is taken"));
            assert!(error.contains(part), "{path}: {error}");
        }
    }

    #[test]
    fn paths_that_people_write_are_taken() {
        for path in [
            "$",
            "$.a.b",
            "$..a",
            "$['..']..a",
            r#"$["\"..\"..."]..a"#,
            "$[?@..a]",
            "$['a','b','c','d','e']",
            "$['a,b,c,d,e,f,g','$','[?']",
            "$.items[?@.kind == 'a' && (@.n > 1 || !(@.gone))][0].id",
            "$[?count(@.*) > 2 && length(@.name) < 9]",
            "$[?@.a == '?'][?@.b]",
            "$.orders[?count(@.items[?@.failed == true]) > 0]",
            r#"$[?match(@.date, "1974-05-..") || search(@.name, '[BR]ob')]"#,
        ] {
            if let Err(error) = query(path) {
                panic!("{error}");
            }
        }
    }

    #[test]
    fn match_and_search_find_what_the_pattern_says() {
        let values = json!(["it's", "its", "say \"hi\"", "a\\b", "a\nb", 7, "ö"]);
        for (path, found) in [
            ("$[?match(@, 'it.?s')]", json!(["it's", "its"])),
            ("$[?match(@, 't')]", json!([])),
            ("$[?match(@, 'its|x')]", json!(["its"])),
            ("$[?search(@, 't')]", json!(["it's", "its"])),
            (r"$[?search(@, 't\'s')]", json!(["it's"])),
            (r#"$[?search(@, "\"hi\"")]"#, json!(["say \"hi\""])),
            (r#"$[?search(@, '"hi"')]"#, json!(["say \"hi\""])),
            (r"$[?search(@, '\\\\')]", json!(["a\\b"])),
            (r"$[?match(@, 'a.b')]", json!(["a\\b"])),
            (r"$[?match(@, '\u00f6')]", json!(["ö"])),
        ] {
            let query = query(path).unwrap();
            assert_eq!(json!(query.query(&values).all()), found, "{path}");
        }
    }

    #[test]
    fn patterns_are_dropped_with_the_paths_that_use_them() {
        let uses = |pattern: &str| {
            let known = SEARCH.known.read().unwrap();
            known.as_ref().and_then(|known| known.get(pattern)).map_or(0, Weak::strong_count)
        };
        let (first, second) =
            (query("$[?search(@, 'only here')]").unwrap(), query("$[?search(@, 'only here')]").unwrap());
        assert_eq!(uses("only here"), 2);
        drop((first, second));
        assert_eq!(uses("only here"), 0);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken_or_refused_soon(path in "\\$([.\\[\\]()?@$*,'\"\\\\!=<ab0:|& ]|match\\(|count\\(|@\\[\\?|\\.\\.){0,80}") {
            let _ = query(&path);
        }
    }
}
