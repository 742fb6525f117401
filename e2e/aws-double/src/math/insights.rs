//! Queries of Metrics Insights (AWS: cloudwatch-metrics-insights-querylanguage): read, not computed.

use std::iter::Peekable;

/// A query that begins with SELECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InsightsQuery {
    pub(crate) grouped: bool,
    pub(crate) ordered: bool,
}

const FUNCTIONS: [&str; 5] = ["AVG", "COUNT", "MAX", "MIN", "SUM"];
const OPERATORS: [&str; 2] = ["=", "!="];

impl InsightsQuery {
    /// None if it is no such query, but metric math.
    pub(crate) fn parse(text: &str) -> Option<Result<Self, String>> {
        let mut words = text.split_whitespace();
        let is_query = words.next()?.eq_ignore_ascii_case("select") && words.next().is_some();
        is_query.then(|| {
            let tokens = tokens(text)?;
            let mut parser = Parser { tokens: tokens.into_iter().peekable() };
            parser.query()
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A keyword, a name without quotes, or a number.
    Word(String),
    /// In quotes.
    Text(String),
    Sign(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut letters = text.chars().peekable();
    let mut found = Vec::new();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter.is_whitespace() => {}
            '"' | '\'' => {
                let mut quoted = String::new();
                loop {
                    match letters.next() {
                        Some(next) if next == letter => break,
                        Some(next) => quoted.push(next),
                        None => return Err("quote without end".to_owned()),
                    }
                }
                found.push(Token::Text(quoted));
            }
            '!' if letters.next_if_eq(&'=').is_some() => found.push(Token::Sign("!=".to_owned())),
            '(' | ')' | ',' | '=' | '*' => found.push(Token::Sign(letter.to_string())),
            letter if is_of_a_word(letter) => {
                let mut word = String::from(letter);
                while let Some(next) = letters.next_if(|next| is_of_a_word(*next)) {
                    word.push(next);
                }
                found.push(Token::Word(word));
            }
            other => return Err(format!("unexpected {other}")),
        }
    }
    Ok(found)
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_/.:-#".contains(letter)
}

struct Parser<I: Iterator<Item = Token>> {
    tokens: Peekable<I>,
}

impl<I: Iterator<Item = Token>> Parser<I> {
    fn query(&mut self) -> Result<InsightsQuery, String> {
        self.expect("SELECT")?;
        self.function()?;
        self.sign("(")?;
        self.name()?;
        self.sign(")")?;
        self.expect("FROM")?;
        if self.keyword("SCHEMA") {
            self.names_in_brackets()?
        } else {
            self.name()?
        }
        if self.keyword("WHERE") {
            self.condition()?;
            while self.keyword("AND") {
                self.condition()?;
            }
        }
        let grouped = self.keyword("GROUP");
        if grouped {
            self.expect("BY")?;
            self.names()?;
        }
        let ordered = self.keyword("ORDER");
        if ordered {
            self.expect("BY")?;
            self.function()?;
            self.sign("(")?;
            self.sign(")")?;
            let _ = self.keyword("DESC") || self.keyword("ASC");
        }
        if self.keyword("LIMIT") {
            self.name()?;
        }
        match self.tokens.next() {
            None => Ok(InsightsQuery { grouped, ordered }),
            Some(token) => Err(format!("unexpected {token:?}")),
        }
    }

    fn condition(&mut self) -> Result<(), String> {
        self.name()?;
        match self.tokens.next() {
            Some(Token::Sign(sign)) if OPERATORS.contains(&sign.as_str()) => self.name(),
            other => Err(format!("expected = or !=, found {other:?}")),
        }
    }

    fn names(&mut self) -> Result<(), String> {
        self.name()?;
        while self.tokens.next_if(|token| *token == Token::Sign(",".to_owned())).is_some() {
            self.name()?;
        }
        Ok(())
    }

    fn names_in_brackets(&mut self) -> Result<(), String> {
        self.sign("(")?;
        self.names()?;
        self.sign(")")
    }

    fn function(&mut self) -> Result<(), String> {
        match self.tokens.next() {
            Some(Token::Word(word)) if FUNCTIONS.iter().any(|known| known.eq_ignore_ascii_case(&word)) => {
                Ok(())
            }
            other => Err(format!("expected one of {}, found {other:?}", FUNCTIONS.join(", "))),
        }
    }

    fn name(&mut self) -> Result<(), String> {
        match self.tokens.next() {
            Some(Token::Word(_) | Token::Text(_)) => Ok(()),
            other => Err(format!("expected a name, found {other:?}")),
        }
    }

    fn keyword(&mut self, wanted: &str) -> bool {
        let is = |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.tokens.next_if(is).is_some()
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        if self.keyword(wanted) {
            Ok(())
        } else {
            Err(format!("expected {wanted}, found {:?}", self.tokens.peek()))
        }
    }

    fn sign(&mut self, wanted: &str) -> Result<(), String> {
        match self.tokens.next() {
            Some(Token::Sign(sign)) if sign == wanted => Ok(()),
            other => Err(format!("expected {wanted}, found {other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_told_from_metric_math_and_read() {
        let query = |grouped, ordered| Some(Ok(InsightsQuery { grouped, ordered }));
        for (text, read) in [
            ("m1 * 2", None),
            ("select", None),
            ("SELECT AVG(visits) FROM SCHEMA(\"SITES/TRAFFIC\", site)", query(false, false)),
            (
                "select\n  max(CPUUtilization)\nfrom \"AWS/EC2\" where InstanceId != 'i-1' AND a = b",
                query(false, false),
            ),
            (
                "SELECT AVG(DatabaseConnections) FROM AWS/RDS GROUP BY DBInstanceIdentifier ORDER BY AVG() DESC LIMIT 5",
                query(true, true),
            ),
            ("SELECT SUM(x) FROM y GROUP BY a, b", query(true, false)),
            ("SELECT SUM(\"group by\") FROM y", query(false, false)),
        ] {
            assert_eq!(InsightsQuery::parse(text), read, "{text}");
        }
        for wrong in [
            "SELECT x FROM y",
            "SELECT P99(x) FROM y",
            "SELECT SUM(x FROM y",
            "SELECT SUM(x)",
            "SELECT SUM(x) FROM y GROUP a",
            "SELECT SUM(x) FROM y ORDER BY a",
            "SELECT SUM(x) FROM \"y",
            "SELECT SUM(x) FROM y WHERE a > 1",
            "SELECT SUM(x) FROM y, z",
        ] {
            assert!(InsightsQuery::parse(wrong).is_some_and(|read| read.is_err()), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = InsightsQuery::parse(&format!("SELECT {text}"));
        }
    }
}
