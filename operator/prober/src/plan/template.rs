//! Texts with `${name}` in them.

use std::collections::BTreeMap;

use super::error::Problem;

/// Values by their names.
pub(crate) type Variables = BTreeMap<String, String>;

/// A text with places for variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Variable(String),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let bad = || Problem::BadPlace(format!("${{{}", after.chars().take(32).collect::<String>()));
            let (name, after) = after.split_once('}').ok_or_else(bad)?;
            let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !word || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return Err(bad());
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Variable(name.to_owned()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with the variables' values. Planning has seen to it that each has one.
    pub(crate) fn render(&self, variables: &Variables) -> String {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Variable(name) => variables.get(name).map_or("", String::as_str),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_take_the_values_of_variables() {
        let variables: Variables =
            [("a", "1"), ("b_2", "${a}")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (text, rendered) in
            [("plain", "plain"), ("${a}", "1"), ("x${a}y${b_2}z", "x1y${a}z"), ("$a {a} $", "$a {a} $")]
        {
            assert_eq!(Template::parse(text).unwrap().render(&variables), rendered);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_renders_as_it_was_where_each_variable_is_its_own_place(text in "([a${}_1]|\\PC){0,24}") {
            if let Ok(template) = Template::parse(&text) {
                let variables = template.names().map(|name| (name.to_owned(), format!("${{{name}}}"))).collect();
                proptest::prop_assert_eq!(template.render(&variables), text);
            }
        }
    }

    #[test]
    fn a_place_that_names_nothing_is_refused() {
        for text in ["${", "${a", "${}", "${1a}", "${a-b}", "${a b}"] {
            assert!(matches!(Template::parse(text), Err(Problem::BadPlace(_))), "{text}");
        }
    }
}
