//! Commands as they are typed for the same cluster, so that the one that a report suggests can be copied.

use crate::args::Common;
use crate::objects::Kind;

/// The program's name as it was called, and the options that choose the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    program: String,
    cluster: String,
}

impl Invocation {
    pub(crate) fn new(program: &str, common: &Common) -> Self {
        let mut cluster = String::new();
        if let Some(context) = &common.context {
            cluster.push_str(&format!(" --context {}", quoted(context)));
        }
        if let Some(path) = &common.kubeconfig {
            cluster.push_str(&format!(" --kubeconfig {}", quoted(&path.to_string_lossy())));
        }
        Self { program: program.to_owned(), cluster }
    }

    /// The command that explains one object.
    pub(crate) fn why(&self, kind: Kind, namespace: &str, name: &str) -> String {
        format!("{} why {}/{name} -n {namespace}{}", self.program, kind.short(), self.cluster)
    }
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Output;

    fn common(context: Option<&str>, kubeconfig: Option<&str>) -> Common {
        Common {
            context: context.map(str::to_owned),
            kubeconfig: kubeconfig.map(Into::into),
            output: Output::Text,
            timeout: std::time::Duration::from_secs(30),
        }
    }

    #[test]
    fn the_command_names_the_same_cluster() {
        let why = |common| Invocation::new("kubectl tidewatch", &common).why(Kind::Canary, "shop", "home");
        assert_eq!(why(common(None, None)), "kubectl tidewatch why canary/home -n shop");
        assert_eq!(
            why(common(Some("arn:aws:eks:eu-west-1:1:cluster/prod"), Some("/a b/config"))),
            "kubectl tidewatch why canary/home -n shop --context arn:aws:eks:eu-west-1:1:cluster/prod --kubeconfig '/a b/config'"
        );
    }

    #[test]
    fn a_word_of_the_shell_is_quoted_where_it_must_be() {
        assert_eq!(quoted("kind-local"), "kind-local");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
