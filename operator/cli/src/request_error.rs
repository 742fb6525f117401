//! Errors of requests to the API server, in words that people can act on.

use std::error::Error;

/// The API server's own message, or the chain of causes for which it couldn't be asked. `kube::Error` itself prints the whole
/// answer as a Rust value, or hides the cause.
pub(crate) fn in_words(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        let words = if status.message.is_empty() { &status.reason } else { &status.message };
        return words.clone();
    }
    let mut words = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let mut cause = error.source().and_then(Error::source);
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors print their cause already.
        if !words.ends_with(&text) {
            words = format!("{words}: {text}");
        }
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_api_server_is_its_message() {
        let message = "pods is forbidden: User \"a\" cannot list resource \"pods\"";
        let status = kube::core::Status::failure(message, "Forbidden").with_code(403);
        assert_eq!(in_words(&kube::Error::Api(Box::new(status))), message);
        let status = kube::core::Status::failure("", "Unauthorized").with_code(401);
        assert_eq!(in_words(&kube::Error::Api(Box::new(status))), "Unauthorized");
    }

    #[test]
    fn the_cause_stands_at_the_end_once() {
        #[derive(Debug)]
        struct Layer(&'static str, Option<Box<Layer>>);
        impl std::fmt::Display for Layer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl Error for Layer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.1.as_deref().map(|it| it as _)
            }
        }
        let refused = Layer("Connection refused", None);
        let connect = Layer("tcp connect error: Connection refused", Some(Box::new(refused)));
        let client = Layer("client error (Connect)", Some(Box::new(connect)));
        let error = kube::Error::Service(Box::new(client));
        assert_eq!(in_words(&error), "client error (Connect): tcp connect error: Connection refused");
    }
}
