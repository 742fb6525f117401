//! The rule of a composite alarm: its grammar and its truth (AWS: alarm-combining, PutCompositeAlarm).
//!
//! ```text
//! rule  = and { "OR" and }        and  = not { "AND" not }      not = [ "NOT" ] item
//! item  = "(" rule ")" | "TRUE" | "FALSE" | state "(" alarm ")"
//!       | "AT_LEAST" "(" number [ "%" ] "," state "," "(" alarm { "," alarm } ")" ")"
//! state = "ALARM" | "OK" | "INSUFFICIENT_DATA"
//! alarm = name or ARN, bare or in double quotes
//! ```

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::CharIndices;

use super::AlarmState;

/// More than any rule within AWS's limits nests.
const DEEPEST: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    Constant(bool),
    /// An alarm, by name or ARN, is in a state.
    Is(AlarmState, String),
    AtLeast {
        need: Need,
        state: AlarmState,
        alarms: Vec<String>,
    },
    Not(Box<Rule>),
    And(Vec<Rule>),
    Or(Vec<Rule>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Alarms(usize),
    Percent(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at position {position}")]
pub struct RuleError {
    pub message: String,
    pub position: usize,
}

impl Rule {
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable(), end: text.len() };
        let rule = parser.any(0)?;
        match parser.tokens.next() {
            None => Ok(rule),
            Some((position, token)) => Err(RuleError { message: format!("unexpected {token:?}"), position }),
        }
    }

    /// Whether it holds, given each alarm's state.
    pub fn holds(&self, state_of: &impl Fn(&str) -> Option<AlarmState>) -> bool {
        match self {
            Self::Constant(truth) => *truth,
            Self::Is(state, alarm) => state_of(alarm) == Some(*state),
            Self::AtLeast { need, state, alarms } => {
                let count = alarms.iter().filter(|alarm| state_of(alarm) == Some(*state)).count();
                match need {
                    Need::Alarms(least) => count >= *least,
                    Need::Percent(least) => count * 100 >= least * alarms.len(),
                }
            }
            Self::Not(rule) => !rule.holds(state_of),
            Self::And(rules) => rules.iter().all(|rule| rule.holds(state_of)),
            Self::Or(rules) => rules.iter().any(|rule| rule.holds(state_of)),
        }
    }

    /// The alarms it names, as it names them.
    pub fn alarms(&self) -> BTreeSet<&str> {
        match self {
            Self::Constant(_) => BTreeSet::new(),
            Self::Is(_, alarm) => BTreeSet::from([alarm.as_str()]),
            Self::AtLeast { alarms, .. } => alarms.iter().map(String::as_str).collect(),
            Self::Not(rule) => rule.alarms(),
            Self::And(rules) | Self::Or(rules) => rules.iter().flat_map(Self::alarms).collect(),
        }
    }

    /// Operators and operands together.
    pub fn elements(&self) -> usize {
        match self {
            Self::Constant(_) | Self::Is(..) => 1,
            Self::AtLeast { alarms, .. } => 1 + alarms.len(),
            Self::Not(rule) => 1 + rule.elements(),
            Self::And(rules) | Self::Or(rules) => {
                rules.len().saturating_sub(1) + rules.iter().map(Self::elements).sum::<usize>()
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Comma,
    Word(String),
    Quoted(String),
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, RuleError> {
    let mut letters = text.char_indices().peekable();
    let mut found = Vec::new();
    while let Some((position, letter)) = letters.next() {
        let token = match letter {
            letter if letter.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '"' => Token::Quoted(quoted(&mut letters, position)?),
            first => {
                let mut word = String::from(first);
                while let Some((_, letter)) =
                    letters.next_if(|(_, c)| !c.is_whitespace() && !"(),\"".contains(*c))
                {
                    word.push(letter);
                }
                Token::Word(word)
            }
        };
        found.push((position, token));
    }
    Ok(found)
}

fn quoted(letters: &mut Peekable<CharIndices<'_>>, start: usize) -> Result<String, RuleError> {
    let mut name = String::new();
    while let Some((_, letter)) = letters.next() {
        match letter {
            '"' => return Ok(name),
            '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
            letter => name.push(letter),
        }
    }
    Err(RuleError { message: "quote without end".to_owned(), position: start })
}

struct Parser<I: Iterator<Item = (usize, Token)>> {
    tokens: Peekable<I>,
    end: usize,
}

impl<I: Iterator<Item = (usize, Token)>> Parser<I> {
    fn any(&mut self, depth: usize) -> Result<Rule, RuleError> {
        let mut rules = vec![self.all(depth)?];
        while self.keyword("OR") {
            rules.push(self.all(depth)?);
        }
        Ok(single(rules, Rule::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Rule, RuleError> {
        let mut rules = vec![self.not(depth)?];
        while self.keyword("AND") {
            rules.push(self.not(depth)?);
        }
        Ok(single(rules, Rule::And))
    }

    fn not(&mut self, depth: usize) -> Result<Rule, RuleError> {
        if depth > DEEPEST {
            return Err(self.error("nested too deeply"));
        }
        if self.keyword("NOT") {
            return Ok(Rule::Not(Box::new(self.not(depth + 1)?)));
        }
        self.item(depth)
    }

    fn item(&mut self, depth: usize) -> Result<Rule, RuleError> {
        match self.tokens.next() {
            Some((_, Token::Open)) => {
                let rule = self.any(depth + 1)?;
                self.expect(&Token::Close)?;
                Ok(rule)
            }
            Some((position, Token::Word(word))) => match word.to_ascii_uppercase().as_str() {
                "TRUE" => Ok(Rule::Constant(true)),
                "FALSE" => Ok(Rule::Constant(false)),
                "AT_LEAST" => self.at_least(),
                _ => {
                    let state = state(&word, position)?;
                    self.expect(&Token::Open)?;
                    let alarm = self.alarm()?;
                    self.expect(&Token::Close)?;
                    Ok(Rule::Is(state, alarm))
                }
            },
            other => Err(self.unexpected(other, "a function")),
        }
    }

    fn at_least(&mut self) -> Result<Rule, RuleError> {
        self.expect(&Token::Open)?;
        let (position, amount) = self.word("a number of alarms")?;
        self.expect(&Token::Comma)?;
        let (state_position, name) = self.word("a state")?;
        let state = state(&name, state_position)?;
        self.expect(&Token::Comma)?;
        self.expect(&Token::Open)?;
        let mut alarms = vec![self.alarm()?];
        while self.tokens.next_if(|(_, token)| *token == Token::Comma).is_some() {
            alarms.push(self.alarm()?);
        }
        self.expect(&Token::Close)?;
        self.expect(&Token::Close)?;
        let need = match amount.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|p| (1..=100).contains(p)).map(Need::Percent),
            None => amount.parse().ok().filter(|m| (1..=alarms.len()).contains(m)).map(Need::Alarms),
        };
        let need = need.ok_or_else(|| RuleError {
            message: format!("AT_LEAST wants 1 to {} alarms or 1% to 100%, not {amount}", alarms.len()),
            position,
        })?;
        Ok(Rule::AtLeast { need, state, alarms })
    }

    fn keyword(&mut self, wanted: &str) -> bool {
        let is = |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.tokens.next_if(|(_, token)| is(token)).is_some()
    }

    fn word(&mut self, what: &str) -> Result<(usize, String), RuleError> {
        match self.tokens.next() {
            Some((position, Token::Word(word))) => Ok((position, word)),
            other => Err(self.unexpected(other, what)),
        }
    }

    fn alarm(&mut self) -> Result<String, RuleError> {
        match self.tokens.next() {
            Some((_, Token::Word(name) | Token::Quoted(name))) if !name.is_empty() => Ok(name),
            other => Err(self.unexpected(other, "an alarm's name")),
        }
    }

    fn expect(&mut self, wanted: &Token) -> Result<(), RuleError> {
        match self.tokens.next() {
            Some((_, token)) if token == *wanted => Ok(()),
            other => Err(self.unexpected(other, &format!("{wanted:?}"))),
        }
    }

    fn unexpected(&self, found: Option<(usize, Token)>, wanted: &str) -> RuleError {
        match found {
            Some((position, token)) => {
                RuleError { message: format!("expected {wanted}, found {token:?}"), position }
            }
            None => RuleError { message: format!("expected {wanted}, found the end"), position: self.end },
        }
    }

    fn error(&mut self, message: &str) -> RuleError {
        let position = self.tokens.peek().map_or(self.end, |(position, _)| *position);
        RuleError { message: message.to_owned(), position }
    }
}

fn single(mut rules: Vec<Rule>, several: fn(Vec<Rule>) -> Rule) -> Rule {
    match rules.pop() {
        Some(rule) if rules.is_empty() => rule,
        last => {
            rules.extend(last);
            several(rules)
        }
    }
}

fn state(word: &str, position: usize) -> Result<AlarmState, RuleError> {
    match word.to_ascii_uppercase().as_str() {
        "ALARM" => Ok(AlarmState::Alarm),
        "OK" => Ok(AlarmState::Ok),
        "INSUFFICIENT_DATA" => Ok(AlarmState::InsufficientData),
        _ => Err(RuleError { message: format!("unknown function {word}"), position }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alarms whose name begins with `a` are in ALARM, with `o` in OK, with `i` in INSUFFICIENT_DATA.
    fn truth(rule: &str) -> bool {
        let state = |name: &str| match name.chars().next() {
            Some('a') => Some(AlarmState::Alarm),
            Some('o') => Some(AlarmState::Ok),
            Some('i') => Some(AlarmState::InsufficientData),
            _ => None,
        };
        Rule::parse(rule).unwrap_or_else(|error| panic!("{rule}: {error}")).holds(&state)
    }

    #[test]
    fn rules_are_as_true_as_aws_says() {
        for (rule, expected) in [
            ("TRUE", true),
            ("false", false),
            ("ALARM(a)", true),
            ("ALARM( \"a b (c), d\" )", true),
            ("ALARM(o)", false),
            ("OK(o) AND NOT ALARM(o)", true),
            ("INSUFFICIENT_DATA(i)", true),
            ("ALARM(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:x)", true),
            ("TRUE OR TRUE AND FALSE", true),
            ("(TRUE OR TRUE) AND FALSE", false),
            ("NOT (ALARM(a) AND ALARM(o))", true),
            ("NOT NOT TRUE", true),
            ("AT_LEAST(2, ALARM, (a1, a2, o1))", true),
            ("AT_LEAST(3, ALARM, (a1, a2, o1))", false),
            ("AT_LEAST(50%, OK, (o1, \"o 2\", a1, a2))", true),
            ("AT_LEAST(51%, OK, (o1, o2, a1, a2))", false),
        ] {
            assert_eq!(truth(rule), expected, "{rule}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_its_position() {
        for rule in [
            "",
            "ALARM",
            "ALARM(",
            "ALARM()",
            "ALARM(a",
            "ALARM(a b)",
            "ALARM(a) ALARM(b)",
            "ALARM(a) AND",
            "AND ALARM(a)",
            "FIRING(a)",
            "ALARM(\"a)",
            "ALARM(a))",
            "AT_LEAST(0, ALARM, (a))",
            "AT_LEAST(2, ALARM, (a))",
            "AT_LEAST(101%, ALARM, (a))",
            "AT_LEAST(1, ALARM, a)",
        ] {
            assert!(Rule::parse(rule).is_err(), "{rule}");
        }
        let deep = format!("{}TRUE{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(Rule::parse(&deep).is_err());
        assert_eq!(Rule::parse("ALARM(a) AND FIRING(b)").unwrap_err().position, 13);
    }

    #[test]
    fn elements_are_operators_and_operands() {
        assert_eq!(Rule::parse("ALARM(a) AND NOT (OK(b) OR TRUE)").unwrap().elements(), 6);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = Rule::parse(&text);
        }
    }
}
