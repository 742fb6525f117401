//! Where a redirect leads, and what may go there. Pure.

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use url::{Origin, Url};

use super::client::{Answer, Request};
use super::url::{UrlError, check};

/// Redirects that are followed.
const MOST: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RedirectError {
    #[error("redirected in a circle: {}", .0.iter().map(Url::as_str).collect::<Vec<_>>().join(" → "))]
    Circle(Vec<Url>),
    #[error("more than {MOST} redirects; the last leads to {0}")]
    TooMany(Url),
    #[error("redirected to {to:?}, which isn't followed: {why}")]
    Bad { to: String, why: UrlError },
    #[error(
        "redirected from https to {0} with a login, which isn't followed: what comes back could be read on the way"
    )]
    Downgrade(Url),
    #[error(
        "redirected to {0}, another origin, with a body that holds a secret, which isn't followed: use that address itself"
    )]
    Body(Url),
}

/// The redirects of one check.
pub(super) struct Redirects {
    visited: Vec<(Method, Url)>,
    logged_in: bool,
    /// Where the request was meant to go; `None` before the first answer.
    origin: Option<Origin>,
}

impl Redirects {
    pub(super) fn new(logged_in: bool) -> Self {
        Self { visited: Vec::new(), logged_in, origin: None }
    }

    /// The request that `answer` leads to; `None` where it is the last.
    pub(super) fn next(
        &mut self,
        request: Request,
        answer: &Answer,
        holds_secret: impl Fn(&Bytes) -> bool,
    ) -> Result<Option<Request>, RedirectError> {
        let Some(location) = location(answer) else { return Ok(None) };
        let bad = |why| RedirectError::Bad { to: without_login(&location), why };
        let to = request.url.join(&location).map_err(|error| bad(UrlError::Malformed(error.to_string())))?;
        let to = check(to).map_err(bad)?;

        let origin = self.origin.get_or_insert_with(|| request.url.origin()).clone();
        let elsewhere = to.origin() != origin;
        if self.logged_in && request.url.scheme() == "https" && to.scheme() == "http" {
            return Err(RedirectError::Downgrade(to));
        }
        self.visited.push((request.method.clone(), request.url));
        let mut next = after(answer.status, &to, request.method, request.headers, request.body);
        if elsewhere {
            if next.body.as_ref().is_some_and(holds_secret) {
                return Err(RedirectError::Body(to));
            }
            // Once gone they stay away: the other origin could send the request back to a place of its choice.
            next.headers.clear();
        }
        if self.visited.contains(&(next.method.clone(), to.clone())) {
            let circle = self.visited.iter().map(|(_, url)| url.clone()).chain([to]).collect();
            return Err(RedirectError::Circle(circle));
        }
        if self.visited.len() > MOST {
            return Err(RedirectError::TooMany(to));
        }
        Ok(Some(next))
    }
}

fn location(answer: &Answer) -> Option<String> {
    let value = answer.headers.get(header::LOCATION)?;
    matches!(answer.status, 301 | 302 | 303 | 307 | 308)
        .then(|| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// As it may be shown.
fn without_login(location: &str) -> String {
    let Ok(mut url) = Url::parse(location) else { return location.to_owned() };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// RFC 9110, section 15.4: 307 and 308 keep method and body; after the others it is a GET.
fn after(status: u16, to: &Url, method: Method, mut headers: HeaderMap, body: Option<Bytes>) -> Request {
    let url = to.clone();
    if matches!(status, 307 | 308) || method == Method::HEAD {
        return Request { url, method, headers, body };
    }
    headers.remove(header::CONTENT_TYPE);
    Request { url, method: Method::GET, headers, body: None }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn request(url: &str, method: Method) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer t"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        Request { url: url.parse().unwrap(), method, headers, body: Some(Bytes::from_static(b"body")) }
    }

    fn answer(status: u16, location: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_str(location).unwrap());
        Answer { status, headers, body: Vec::new(), limit: None }
    }

    fn next(status: u16, from: &str, to: &str) -> Result<Option<Request>, RedirectError> {
        Redirects::new(true).next(request(from, Method::POST), &answer(status, to), |_| false)
    }

    #[test]
    fn the_method_is_kept_or_becomes_get() {
        for status in [301, 302, 303] {
            let next = next(status, "https://a/x?y", "../z").unwrap().unwrap();
            assert_eq!((next.method, next.body.is_some()), (Method::GET, false), "{status}");
            assert_eq!(next.url.as_str(), "https://a/z");
            assert!(next.headers.contains_key(header::AUTHORIZATION));
            assert!(!next.headers.contains_key(header::CONTENT_TYPE));
        }
        for status in [307, 308] {
            let next = next(status, "https://a/x", "/z").unwrap().unwrap();
            assert_eq!((next.method, next.body.is_some()), (Method::POST, true), "{status}");
        }
        assert!(next(300, "https://a/", "/z").unwrap().is_none());
        assert!(next(200, "https://a/", "/z").unwrap().is_none());
    }

    #[test]
    fn another_origin_gets_no_headers_then_or_later() {
        for to in ["https://b/", "https://a:8443/"] {
            let next = next(302, "https://a/", to).unwrap().unwrap();
            assert!(next.headers.is_empty(), "{to}");
        }
        let mut redirects = Redirects::new(true);
        let away = redirects
            .next(request("https://a/", Method::GET), &answer(302, "https://b/"), |_| false)
            .unwrap()
            .unwrap();
        let back = redirects.next(away, &answer(302, "https://a/admin"), |_| false).unwrap().unwrap();
        assert!(back.headers.is_empty());
    }

    #[test]
    fn a_login_isn_t_led_out_of_https_and_a_secret_body_not_elsewhere() {
        assert!(matches!(next(302, "https://a/", "http://a/"), Err(RedirectError::Downgrade(_))));
        let plain =
            Redirects::new(false)
                .next(request("https://a/", Method::GET), &answer(302, "http://a/"), |_| false);
        assert!(plain.unwrap().is_some());
        let secret = Redirects::new(false).next(
            request("https://a/", Method::POST),
            &answer(307, "https://b/"),
            |_| true,
        );
        assert!(matches!(secret, Err(RedirectError::Body(_))));
    }

    #[test]
    fn only_http_is_followed_and_without_login_in_the_address() {
        for to in ["ftp://a/", "file:///etc/passwd", "https://user:pass@a/", "http://[", "javascript:1"] {
            assert!(matches!(next(302, "http://a/", to), Err(RedirectError::Bad { .. })), "{to}");
        }
    }

    #[test]
    fn circles_and_endless_chains_end() {
        let mut redirects = Redirects::new(false);
        let at_b = redirects
            .next(request("http://a/", Method::GET), &answer(302, "/b"), |_| false)
            .unwrap()
            .unwrap();
        let circle = redirects.next(at_b, &answer(302, "/"), |_| false);
        assert_eq!(
            circle.err().map(|error| error.to_string()),
            Some("redirected in a circle: http://a/ → http://a/b → http://a/".to_owned())
        );

        let mut redirects = Redirects::new(false);
        let mut at = request("http://a/", Method::GET);
        for step in 0..10 {
            at = redirects.next(at, &answer(302, &format!("/{step}")), |_| false).unwrap().unwrap();
        }
        assert!(matches!(
            redirects.next(at, &answer(302, "/eleventh"), |_| false),
            Err(RedirectError::TooMany(_))
        ));
    }

    proptest! {
        #[test]
        fn wherever_a_server_sends_us_nothing_of_ours_leaks(
            steps in proptest::collection::vec((300_u16..309, "(https?:)?[/\\\\]{0,3}[a-c@:.0-9%?#]{0,12}|\\PC{0,16}"), 1..14),
        ) {
            let mut redirects = Redirects::new(true);
            let mut at = request("https://a/", Method::POST);
            for (status, to) in steps {
                let Ok(location) = HeaderValue::from_str(&to) else { return Ok(()) };
                let mut answer = answer(status, "/");
                answer.headers.insert(header::LOCATION, location);
                let Ok(Some(next)) = redirects.next(at, &answer, |_| true) else { return Ok(()) };
                let home = "https://a/".parse::<Url>().unwrap().origin();
                prop_assert!(next.url.scheme() == "https" && next.url.username().is_empty());
                prop_assert!(next.url.password().is_none() && next.url.fragment().is_none());
                prop_assert!(next.url.origin() == home || (next.headers.is_empty() && next.body.is_none()), "{}", next.url);
                at = next;
            }
        }
    }
}
