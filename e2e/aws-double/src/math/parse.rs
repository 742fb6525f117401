//! An expression's grammar: numbers, ids, operators by the usual precedence, and functions.

use std::collections::BTreeSet;
use std::iter::Peekable;

/// Deeper than any expression of 2,048 characters that means something.
const DEEPEST: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Text(String),
    /// The id of another query.
    Id(String),
    Call(String, Vec<Expression>),
    List(Vec<Expression>),
    Negated(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

impl Operator {
    fn binding(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual => 3,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide => 5,
            Self::Power => 6,
        }
    }
}

impl Expression {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable() };
        let expression = parser.expression(0, 0)?;
        match parser.tokens.next() {
            None => Ok(expression),
            Some(token) => Err(format!("unexpected {token:?}")),
        }
    }

    /// The ids that it refers to.
    pub(crate) fn ids(&self) -> BTreeSet<&str> {
        match self {
            Self::Number(_) | Self::Text(_) => BTreeSet::new(),
            Self::Id(id) => BTreeSet::from([id.as_str()]),
            Self::Call(_, items) | Self::List(items) => items.iter().flat_map(Self::ids).collect(),
            Self::Negated(item) => item.ids(),
            Self::Binary(_, left, right) => left.ids().into_iter().chain(right.ids()).collect(),
        }
    }

    /// The functions that it calls.
    pub(crate) fn functions(&self) -> BTreeSet<&str> {
        match self {
            Self::Number(_) | Self::Text(_) | Self::Id(_) => BTreeSet::new(),
            Self::Call(name, items) => {
                std::iter::once(name.as_str()).chain(items.iter().flat_map(Self::functions)).collect()
            }
            Self::List(items) => items.iter().flat_map(Self::functions).collect(),
            Self::Negated(item) => item.functions(),
            Self::Binary(_, left, right) => left.functions().into_iter().chain(right.functions()).collect(),
        }
    }

    /// The id and width of a band, if it is exactly `ANOMALY_DETECTION_BAND(id[, width])`; the width is 2 unless said.
    pub(crate) fn band(&self) -> Option<(&str, f64)> {
        let Self::Call(name, arguments) = self else { return None };
        match (name.as_str(), arguments.as_slice()) {
            ("ANOMALY_DETECTION_BAND", [Self::Id(id)]) => Some((id, 2.0)),
            ("ANOMALY_DETECTION_BAND", [Self::Id(id), Self::Number(width)]) if *width > 0.0 => {
                Some((id, *width))
            }
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Word(String),
    Operator(Operator),
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut letters = text.chars().peekable();
    let mut found = Vec::new();
    while let Some(letter) = letters.next() {
        let mut then = |next: char, both: Operator, alone: Option<Operator>| {
            let both = letters.next_if_eq(&next).map(|_| both).or(alone);
            both.map(Token::Operator).ok_or_else(|| format!("unexpected {letter}"))
        };
        found.push(match letter {
            letter if letter.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '[' => Token::OpenList,
            ']' => Token::CloseList,
            ',' => Token::Comma,
            '+' => Token::Operator(Operator::Add),
            '-' => Token::Operator(Operator::Subtract),
            '*' => Token::Operator(Operator::Multiply),
            '/' => Token::Operator(Operator::Divide),
            '^' => Token::Operator(Operator::Power),
            '<' => then('=', Operator::LessOrEqual, Some(Operator::Less))?,
            '>' => then('=', Operator::GreaterOrEqual, Some(Operator::Greater))?,
            '=' => then('=', Operator::Equal, None)?,
            '!' => then('=', Operator::NotEqual, None)?,
            '&' => then('&', Operator::And, None)?,
            '|' => then('|', Operator::Or, None)?,
            '"' | '\'' => Token::Text(quoted(&mut letters, letter)?),
            digit if digit.is_ascii_digit() || digit == '.' => number(&mut letters, digit)?,
            first if first.is_ascii_alphabetic() => {
                let mut word = String::from(first);
                while let Some(letter) = letters.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    word.push(letter);
                }
                match word.as_str() {
                    "AND" => Token::Operator(Operator::And),
                    "OR" => Token::Operator(Operator::Or),
                    _ => Token::Word(word),
                }
            }
            other => return Err(format!("unexpected {other}")),
        });
    }
    Ok(found)
}

fn quoted(letters: &mut impl Iterator<Item = char>, end: char) -> Result<String, String> {
    let mut text = String::new();
    for letter in letters {
        if letter == end {
            return Ok(text);
        }
        text.push(letter);
    }
    Err("quote without end".to_owned())
}

fn number<I: Iterator<Item = char>>(letters: &mut Peekable<I>, first: char) -> Result<Token, String> {
    let mut digits = String::from(first);
    while let Some(letter) = letters.next_if(|c| c.is_ascii_digit() || *c == '.') {
        digits.push(letter);
    }
    if let Some(exponent) = letters.next_if(|c| matches!(c, 'e' | 'E')) {
        digits.push(exponent);
        digits.extend(letters.next_if(|c| matches!(c, '+' | '-')));
        while let Some(letter) = letters.next_if(char::is_ascii_digit) {
            digits.push(letter);
        }
    }
    digits.parse().map(Token::Number).map_err(|_| format!("{digits} is not a number"))
}

struct Parser<I: Iterator<Item = Token>> {
    tokens: Peekable<I>,
}

impl<I: Iterator<Item = Token>> Parser<I> {
    /// Precedence climbing: operators that bind tighter than `least`.
    fn expression(&mut self, least: u8, depth: usize) -> Result<Expression, String> {
        if depth > DEEPEST {
            return Err("nested too deeply".to_owned());
        }
        let mut left = self.item(depth)?;
        while let Some(Token::Operator(operator)) =
            self.tokens.next_if(|token| matches!(token, Token::Operator(op) if op.binding() > least))
        {
            // Powers associate to the right.
            let own = if operator == Operator::Power { operator.binding() - 1 } else { operator.binding() };
            let right = self.expression(own, depth + 1)?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn item(&mut self, depth: usize) -> Result<Expression, String> {
        match self.tokens.next() {
            Some(Token::Number(number)) => Ok(Expression::Number(number)),
            Some(Token::Text(text)) => Ok(Expression::Text(text)),
            Some(Token::Operator(Operator::Subtract)) => {
                let bound = Operator::Multiply.binding();
                Ok(Expression::Negated(Box::new(self.expression(bound, depth + 1)?)))
            }
            Some(Token::Open) => {
                let inside = self.expression(0, depth + 1)?;
                self.close(&Token::Close)?;
                Ok(inside)
            }
            Some(Token::OpenList) => Ok(Expression::List(self.list(&Token::CloseList, depth)?)),
            Some(Token::Word(word)) if self.tokens.next_if_eq(&Token::Open).is_some() => {
                Ok(Expression::Call(word.to_ascii_uppercase(), self.list(&Token::Close, depth)?))
            }
            Some(Token::Word(word)) if word.starts_with(|first: char| first.is_ascii_lowercase()) => {
                Ok(Expression::Id(word))
            }
            // REPEAT and LINEAR are words to FILL.
            Some(Token::Word(word)) => Ok(Expression::Text(word)),
            Some(token) => Err(format!("unexpected {token:?}")),
            None => Err("unexpected end".to_owned()),
        }
    }

    fn list(&mut self, end: &Token, depth: usize) -> Result<Vec<Expression>, String> {
        let mut items = Vec::new();
        if self.tokens.next_if_eq(end).is_some() {
            return Ok(items);
        }
        loop {
            items.push(self.expression(0, depth + 1)?);
            if self.tokens.next_if_eq(&Token::Comma).is_none() {
                self.close(end)?;
                return Ok(items);
            }
        }
    }

    fn close(&mut self, end: &Token) -> Result<(), String> {
        match self.tokens.next() {
            Some(token) if token == *end => Ok(()),
            Some(token) => Err(format!("expected {end:?}, found {token:?}")),
            None => Err(format!("expected {end:?}, found the end")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in
            ["", "m1 +", "(m1", "SUM(m1", "m1 m2", "1.2.3", "m1 = 2", "#", "\"open", "[m1, m2", "M1 ! 2"]
        {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
        assert!(Expression::parse(&"(".repeat(2_000)).is_err());
        assert!(Expression::parse(&"-".repeat(2_000)).is_err());
    }

    #[test]
    fn a_band_is_a_call_with_an_id_and_a_width() {
        let band =
            |text: &str| Expression::parse(text).ok()?.band().map(|(id, width)| (id.to_owned(), width));
        assert_eq!(band("ANOMALY_DETECTION_BAND(m1, 2)"), Some(("m1".to_owned(), 2.0)));
        assert_eq!(band(" ANOMALY_DETECTION_BAND( e1,0.5 )"), Some(("e1".to_owned(), 0.5)));
        assert_eq!(band("ANOMALY_DETECTION_BAND(m1)"), Some(("m1".to_owned(), 2.0)));
        assert_eq!(band("ANOMALY_DETECTION_BAND(m1, 0)"), None);
        assert_eq!(band("ANOMALY_DETECTION_BAND(m1 + 1, 2)"), None);
    }

    #[test]
    fn ids_and_functions_are_found_wherever_they_are() {
        let expression =
            Expression::parse("IF(m1 > 5 AND m2 != 0, SUM([m1, m3]) / -m2, FILL(m4, REPEAT))").unwrap();
        assert_eq!(Vec::from_iter(expression.ids()), ["m1", "m2", "m3", "m4"]);
        assert_eq!(Vec::from_iter(expression.functions()), ["FILL", "IF", "SUM"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = Expression::parse(&text);
        }
    }
}
