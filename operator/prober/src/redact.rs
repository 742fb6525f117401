//! Keeps what is secret out of what is written.

use data_encoding::{BASE64, BASE64URL_NOPAD};

/// Stands for what must not be shown.
pub(crate) const HIDDEN: &str = "***";

/// Texts of fewer characters are hidden only where they stand alone, or every `1` of a message would go.
const SHORT: usize = 4;

/// Lines of a secret of at least so many characters are hidden by themselves.
const LINE: usize = 8;

/// Replaces secrets and extracted values, in the forms in which they travel.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// The longest first, so that a secret within another doesn't leave the other's rest.
    forms: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} forms)", self.forms.len())
    }
}

impl Redactor {
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.trim().is_empty() {
            return;
        }
        let json = serde_json::Value::from(secret).to_string();
        let forms = [
            secret.to_owned(),
            secret.trim().to_owned(),
            json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(&json).to_owned(),
            form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>().replace('+', "%20"),
            BASE64.encode(secret.as_bytes()),
            BASE64URL_NOPAD.encode(secret.as_bytes()),
            data_encoding::HEXLOWER.encode(secret.as_bytes()),
        ];
        // Of a secret of many lines, an answer may show one.
        let lines = secret.lines().filter(|line| line.len() >= LINE).map(str::to_owned);
        self.forms.extend(forms.into_iter().chain(lines).filter(|form| !form.is_empty()));
        // A secret may have thousands of lines: each is compared with its neighbours only.
        self.forms.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.forms.dedup();
    }

    pub(crate) fn redact(&self, text: &str) -> String {
        self.forms.iter().fold(text.to_owned(), |text, form| {
            if form.chars().count() < SHORT {
                replace_words(&text, form)
            } else if text.contains(form.as_str()) {
                text.replace(form.as_str(), HIDDEN)
            } else {
                text
            }
        })
    }

    /// Whether `text` has something to hide.
    pub(crate) fn hides(&self, text: &str) -> bool {
        self.redact(text) != text
    }
}

fn replace_words(text: &str, word: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        out.push_str(before);
        let apart = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        if apart(out.chars().next_back()) && apart(after.chars().next()) {
            out.push_str(HIDDEN);
        } else {
            out.push_str(word);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        for secret in secrets {
            redactor.add(secret);
        }
        redactor
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_in_which_it_travels() {
        let redactor = redactor(&["p\"ss w&rd"]);
        for text in [
            "login p\"ss w&rd end",
            r#"{"key":"p\"ss w&rd"}"#,
            "q=p%22ss+w%26rd&x=1",
            "q=p%22ss%20w%26rd&x=1",
            &format!("Basic {}", BASE64.encode(b"p\"ss w&rd")),
        ] {
            let out = redactor.redact(text);
            assert!(out.contains("***"), "{out}");
            assert!(!out.contains("ss"), "{out}");
        }
    }

    #[test]
    fn a_secret_within_another_leaves_nothing_of_it() {
        assert_eq!(redactor(&["secret", "secret-of-shop"]).redact("it is secret-of-shop"), "it is ***");
    }

    #[test]
    fn a_short_value_is_hidden_only_as_a_word() {
        let redactor = redactor(&["50"]);
        assert_eq!(redactor.redact("status 500, id 50, 150 or (50)"), "status 500, id ***, 150 or (***)");
    }

    #[test]
    fn an_empty_secret_changes_nothing() {
        assert_eq!(redactor(&["", " "]).redact("a b"), "a b");
    }
}
