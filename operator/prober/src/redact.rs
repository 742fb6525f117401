//! Keeps what is secret out of what is written.

use std::ops::Range;

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
    /// The longest first.
    forms: Vec<Form>,
}

#[derive(Clone, PartialEq, Eq)]
struct Form {
    text: String,
    /// Whether it must not be sent elsewhere either.
    is_secret: bool,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} forms)", self.forms.len())
    }
}

impl Redactor {
    /// Takes a secret, or a value that was extracted.
    pub(crate) fn add(&mut self, secret: &str) {
        self.take(secret, true);
    }

    /// Takes a value that may be a secret: it isn't shown, but a text isn't one that holds a secret for it.
    pub(crate) fn hide(&mut self, value: &str) {
        self.take(value, false);
    }

    fn take(&mut self, secret: &str, is_secret: bool) {
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
        let forms = forms.into_iter().chain(lines).filter(|form| !form.is_empty());
        self.forms.extend(forms.map(|text| Form { text, is_secret }));
        // A secret may have thousands of lines: each is compared with its neighbours only. What is a secret, and a mere
        // value too, is a secret.
        self.forms.sort_unstable_by(|a, b| {
            let longest = b.text.len().cmp(&a.text.len());
            longest.then_with(|| a.text.cmp(&b.text)).then_with(|| b.is_secret.cmp(&a.is_secret))
        });
        self.forms.dedup_by(|later, kept| later.text == kept.text);
    }

    /// The beginning of `text`, without what must not be shown: as much as it takes to show `most` characters, or less
    /// where a long value is hidden. No more than that is searched: a body may be large, and the forms many.
    pub(crate) fn redact(&self, text: &str, most: usize) -> String {
        let longest = self.forms.first().map_or(0, |form| form.text.len());
        let window = beginning(text, most.saturating_mul(4).saturating_add(longest.saturating_mul(2)));
        let is_whole = window.len() == text.len();
        // What begins in the rest of the window may go on beyond it, and wouldn't be found.
        let shown = if is_whole { window } else { beginning(window, window.len().saturating_sub(longest)) };
        let mut hidden: Vec<Range<usize>> = self.forms.iter().flat_map(|form| form.places(window)).collect();
        hidden.sort_unstable_by_key(|place| (place.start, place.end));
        let (mut out, mut at) = (String::new(), 0);
        for place in hidden.into_iter().filter(|place| place.start < shown.len()) {
            if place.start >= at {
                out.push_str(shown.get(at..place.start).unwrap_or_default());
                out.push_str(HIDDEN);
            }
            at = at.max(place.end);
        }
        out.push_str(shown.get(at..).unwrap_or_default());
        if !is_whole {
            out.push('…');
        }
        out
    }

    /// Whether `text` holds a secret, or a value that was extracted.
    pub(crate) fn hides(&self, text: &str) -> bool {
        self.forms.iter().any(|form| form.is_secret && form.places(text).next().is_some())
    }
}

impl Form {
    /// Where it stands in `text`; a short one as a word only.
    fn places<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        let is_short = self.text.chars().count() < SHORT;
        let apart = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        text.match_indices(&self.text).map(|(start, found)| start..start + found.len()).filter(move |place| {
            let before = text.get(..place.start).unwrap_or_default().chars().next_back();
            let after = text.get(place.end..).unwrap_or_default().chars().next();
            !is_short || (apart(before) && apart(after))
        })
    }
}

/// At most so many bytes, in whole characters.
fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 256;

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
            let out = redactor.redact(text, MOST);
            assert!(out.contains("***"), "{out}");
            assert!(!out.contains("ss"), "{out}");
        }
    }

    #[test]
    fn a_secret_within_another_leaves_nothing_of_it() {
        assert_eq!(redactor(&["secret", "secret-of-shop"]).redact("it is secret-of-shop", MOST), "it is ***");
    }

    #[test]
    fn a_short_value_is_hidden_only_as_a_word() {
        let redactor = redactor(&["50"]);
        assert_eq!(
            redactor.redact("status 500, id 50, 150 or (50)", MOST),
            "status 500, id ***, 150 or (***)"
        );
    }

    #[test]
    fn an_empty_secret_changes_nothing() {
        assert_eq!(redactor(&["", " "]).redact("a b", MOST), "a b");
    }

    #[test]
    fn secrets_that_overlap_leave_nothing_of_either() {
        assert_eq!(redactor(&["hunter2", "ter2abcdefg"]).redact("x hunter2abcdefg y", MOST), "x *** y");
        assert_eq!(redactor(&["hunter2"]).redact("hunter2hunter2", MOST), "******");
    }

    #[test]
    fn of_a_large_text_no_more_is_looked_at_than_is_shown() {
        let redactor = redactor(&["hunter2hunter2"]);
        let text = redactor.redact(&"x".repeat(1024 * 1024), MOST);
        assert!((MOST..8 * MOST).contains(&text.chars().count()), "{}", text.len());
    }

    #[test]
    fn a_secret_behind_long_ones_isn_t_shown_in_half() {
        let long = "s3cr3t".repeat(2000);
        let redactor = redactor(&[&long, "hunter2hunter2"]);
        // The window ends somewhere in the later secrets, whose beginnings would be shown.
        for between in 0..40 {
            let text = format!("{long}{}{}", "-".repeat(between), "hunter2hunter2".repeat(10_000));
            let shown = redactor.redact(&text, MOST);
            assert!(!shown.contains('h') && !shown.contains("s3"), "{shown}");
        }
    }

    #[test]
    fn what_isn_t_shown_is_not_always_a_secret() {
        let mut redactor = redactor(&["hunter2"]);
        redactor.hide("en-US,en");
        redactor.hide("hunter2");
        assert_eq!(redactor.redact("en-US,en;q=0.9 hunter2", MOST), "***;q=0.9 ***");
        assert!(!redactor.hides("en-US,en;q=0.9") && redactor.hides("is hunter2"));
    }

    proptest::proptest! {
        #[test]
        fn no_secret_is_ever_shown(pieces in proptest::collection::vec(0_usize..5, 0..40), most in 0_usize..40) {
            let texts = ["hunter2", "ter2-shop", "é", "shop shop", "x"];
            let text: String = pieces.into_iter().map(|piece| texts[piece]).collect();
            let shown = redactor(&["hunter2", "ter2-shop", "shop shop"]).redact(&text, most);
            for secret in ["hunter2", "ter2-shop", "shop shop"] {
                proptest::prop_assert!(!shown.contains(secret), "{} in {}", secret, shown);
            }
        }
    }
}
