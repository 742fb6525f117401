//! Quotes docs/troubleshooting.md on the reasons of conditions. The page is in the binary, so that the quotes are of this
//! version and need no network.

use serde::Serialize;

const PAGE: &str = include_str!("../../../docs/troubleshooting.md");
/// The heading below which each reason has its entry.
const ENTRIES: &str = "\n## Condition reasons\n";

/// An entry of the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    pub reason: String,
    pub means: String,
    pub see: String,
    #[serde(rename = "do")]
    pub act: String,
    /// The entry's address in the documentation.
    pub link: String,
}

/// The entry of a condition's reason, if the page has one.
pub(crate) fn advice(reason: &str) -> Option<Advice> {
    let (_, reasons) = PAGE.split_once(ENTRIES)?;
    let (_, entry) = reasons.split_once(&format!("\n### {reason}\n"))?;
    let entry = entry.split_once("\n### ").map_or(entry, |(entry, _)| entry);
    let line = |label: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(&format!("- **{label}:** ")));
        line.map(without_markdown).unwrap_or_default()
    };
    Some(Advice {
        reason: reason.to_owned(),
        means: line("Means"),
        see: line("See"),
        act: line("Do"),
        link: format!("docs/troubleshooting.md#{}", reason.to_lowercase()),
    })
}

/// The action that the page advises against a reason; where it knows none, only the object's own message can help.
pub(crate) fn action(reason: &str) -> String {
    advice(reason).map_or_else(|| "Follow the message.".to_owned(), |advice| advice.act)
}

/// A sentence of the page as it is read on a screen: links without their target, code without its marks.
fn without_markdown(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(name, target)| Some((name, target.split_once(')')?.1)));
        out.push_str(before);
        match link {
            Some((name, after)) => {
                out.push_str(name);
                rest = after;
            }
            None => {
                out.push('[');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_explained_in_the_words_of_the_page() {
        let advice = advice("AgentsNotReady").unwrap();
        assert_eq!(advice.means, "The DaemonSet is there, no agent is ready, and no window came.");
        assert_eq!(advice.act, "Follow Agents are missing or not ready.");
        assert_eq!(advice.link, "docs/troubleshooting.md#agentsnotready");
    }

    #[test]
    fn every_entry_of_a_reason_has_its_three_sentences() {
        let (_, reasons) = PAGE.split_once(ENTRIES).unwrap();
        let reasons: Vec<&str> = reasons
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .filter(|it| !it.contains(' '))
            .collect();
        assert!(reasons.len() > 40, "{reasons:?}");
        for reason in reasons {
            let advice = advice(reason).unwrap_or_else(|| panic!("{reason} has no entry"));
            for sentence in [&advice.means, &advice.see, &advice.act] {
                assert!(!sentence.is_empty(), "{advice:?}");
            }
            assert!(!advice.act.contains("](") && !advice.act.contains('`'), "{advice:?}");
        }
    }

    #[test]
    fn what_the_page_does_not_know_has_no_advice() {
        assert_eq!(advice("Nonsense"), None);
        assert_eq!(advice(""), None);
        assert_eq!(action("Nonsense"), "Follow the message.");
    }

    #[test]
    fn markdown_is_taken_out_and_brackets_stay() {
        assert_eq!(without_markdown("set `a` ([IAM](iam.md)), such as [x]"), "set a (IAM), such as [x]");
    }
}
