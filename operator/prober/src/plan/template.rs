//! Texts with `${name}` in them; `$${` stands for the text `${`.

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
        let (mut parts, mut literal) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            // Of the dollar signs before a brace each two stand for one; an odd one begins a place.
            let bare = before.trim_end_matches('$');
            let dollars = before.len() - bare.len() + 1;
            literal.push_str(bare);
            literal.extend(std::iter::repeat_n('$', dollars / 2));
            if dollars.is_multiple_of(2) {
                literal.push('{');
                rest = after;
                continue;
            }
            let (name, after) = place(after)?;
            parts.push(Part::Text(std::mem::take(&mut literal)));
            parts.push(Part::Variable(name.to_owned()));
            rest = after;
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
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

/// The name of a variable, and what stands after its brace.
fn place(text: &str) -> Result<(&str, &str), Problem> {
    let bad = || Problem::BadPlace(format!("${{{}", text.chars().take(32).collect::<String>()));
    let (name, after) = text.split_once('}').ok_or_else(bad)?;
    let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if word && name.starts_with(|c: char| c.is_ascii_alphabetic()) { Ok((name, after)) } else { Err(bad()) }
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

    #[test]
    fn two_dollar_signs_before_a_brace_stand_for_one() {
        let variables: Variables = [("a".to_owned(), "1".to_owned())].into();
        for (text, rendered) in [
            ("$${a}", "${a}"),
            ("$${", "${"),
            ("$$${a}", "$1"),
            ("$$$${a}", "$${a}"),
            ("x$${a}${a}$${}", "x${a}1${}"),
            ("$$ $2y$12$", "$$ $2y$12$"),
            ("$$a$", "$$a$"),
        ] {
            assert_eq!(Template::parse(text).unwrap().render(&variables), rendered, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_renders_as_it_was_where_each_variable_is_its_own_place(text in "([a${}_1]|\\PC){0,24}") {
            proptest::prop_assume!(!text.contains("$${"));
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
