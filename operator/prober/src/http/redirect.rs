//! Where a redirect leads, and what may go there. Pure.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tidewatch_crds::{AddressError, join_address};
use url::{Origin, Url};

use super::answer::Answer;
use super::client::Request;
use super::text::header_text;

/// Redirects that are followed.
const MOST: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RedirectError {
    #[error("redirected in a circle: {}", .0.iter().map(Url::as_str).collect::<Vec<_>>().join(" → "))]
    Circle(Vec<Url>),
    #[error("more than {MOST} redirects; the last leads to {0}")]
    TooMany(Url),
    #[error("redirected to {to:?}, which isn't followed: {why}")]
    Bad { to: String, why: AddressError },
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
    /// Requests since a cookie last changed: the same one again would get the same answer.
    visited: Vec<(Method, Url)>,
    followed: usize,
    logged_in: bool,
    /// Where the request was meant to go; `None` before the first answer.
    origin: Option<Origin>,
}

impl Redirects {
    pub(super) fn new(logged_in: bool) -> Self {
        Self { visited: Vec::new(), followed: 0, logged_in, origin: None }
    }

    /// The request that `answer` leads to; `None` where it is the last. `set_cookies` says whether the answer set a cookie
    /// that is new, `hides` whether something holds a secret.
    pub(super) fn next(
        &mut self,
        request: Request,
        answer: &Answer,
        set_cookies: bool,
        hides: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Request>, RedirectError> {
        let Some(location) = location(answer) else { return Ok(None) };
        let to = join_address(&request.url, &location)
            .map_err(|why| RedirectError::Bad { to: without_login(&location), why })?;

        let origin = self.origin.get_or_insert_with(|| request.url.origin()).clone();
        let elsewhere = to.origin() != origin;
        if self.logged_in && request.url.scheme() == "https" && to.scheme() == "http" {
            return Err(RedirectError::Downgrade(to));
        }
        self.visited.push((request.method.clone(), request.url));
        if set_cookies {
            self.visited.clear();
        }
        let mut next = after(answer.status, &to, request.method, request.headers, request.body);
        if elsewhere {
            if next.body.as_deref().is_some_and(&hides) {
                return Err(RedirectError::Body(to));
            }
            // Once gone they stay away: the other origin could send the request back to a place of its choice.
            next.headers = without_secrets(&next.headers, hides);
        }
        if self.visited.contains(&(next.method.clone(), to.clone())) {
            let circle = self.visited.iter().map(|(_, url)| url.clone()).chain([to]).collect();
            return Err(RedirectError::Circle(circle));
        }
        self.followed += 1;
        if self.followed > MOST {
            return Err(RedirectError::TooMany(to));
        }
        Ok(Some(next))
    }
}

/// What another origin may get: not what lets somebody in, nor the name of the host that was meant.
fn without_secrets(headers: &HeaderMap, hides: impl Fn(&[u8]) -> bool) -> HeaderMap {
    let is_secret = |name: &HeaderName, value: &HeaderValue| {
        [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE].contains(name)
            || value.is_sensitive()
            || hides(value.as_bytes())
    };
    let kept = headers.iter().filter(|(name, value)| *name != header::HOST && !is_secret(name, value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Where a redirect leads. An empty Location leads nowhere, as in browsers and curl: such an answer is the last.
fn location(answer: &Answer) -> Option<String> {
    let value = answer.headers.get(header::LOCATION)?;
    let location = header_text(value).trim().to_owned();
    (is_redirect(answer.status) && !location.is_empty()).then_some(location)
}

pub(super) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// As it may be shown.
fn without_login(location: &str) -> String {
    let Ok(mut url) = Url::parse(location) else { return location.to_owned() };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// As browsers do (Fetch, "HTTP-redirect fetch"): after 303 it is a GET, and after 301 and 302 a POST becomes one; all else
/// is asked again as it was.
fn after(status: u16, to: &Url, method: Method, mut headers: HeaderMap, body: Option<Bytes>) -> Request {
    let url = to.clone();
    let becomes_get = match status {
        303 => method != Method::HEAD,
        301 | 302 => method == Method::POST,
        _ => false,
    };
    if !becomes_get {
        return Request { url, method, headers, body };
    }
    for of_body in
        [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION]
    {
        headers.remove(of_body);
    }
    Request { url, method: Method::GET, headers, body: None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::decode::Content;

    fn request(url: &str, method: Method) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer t"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(header::HOST, HeaderValue::from_static("a"));
        headers.insert("x-tenant", HeaderValue::from_static("shop"));
        headers.insert("x-session", HeaderValue::from_static("a secret"));
        let mut key = HeaderValue::from_static("k");
        key.set_sensitive(true);
        headers.insert("x-api-key", key);
        Request { url: url.parse().unwrap(), method, headers, body: Some(Bytes::from_static(b"body")) }
    }

    fn answer(status: u16, location: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_str(location).unwrap());
        Answer::new(status, headers, Content { bytes: Vec::new(), is_cut: false }, 0)
    }

    fn next(status: u16, from: &str, to: &str) -> Result<Option<Request>, RedirectError> {
        Redirects::new(true).next(request(from, Method::POST), &answer(status, to), false, |_| false)
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
        for (status, method, after) in [
            (301, Method::PUT, Method::PUT),
            (302, Method::PATCH, Method::PATCH),
            (302, Method::DELETE, Method::DELETE),
            (301, Method::OPTIONS, Method::OPTIONS),
            (302, Method::HEAD, Method::HEAD),
            (303, Method::PUT, Method::GET),
            (303, Method::DELETE, Method::GET),
            (303, Method::HEAD, Method::HEAD),
        ] {
            let request = request("https://a/x", method.clone());
            let next = Redirects::new(true).next(request, &answer(status, "/z"), false, |_| false);
            let next = next.unwrap().unwrap();
            let keeps = next.method == method;
            assert_eq!((next.method, next.body.is_some()), (after, keeps), "{status} {method}");
            assert_eq!(next.headers.contains_key(header::CONTENT_TYPE), keeps, "{status} {method}");
        }
        assert!(next(300, "https://a/", "/z").unwrap().is_none());
        assert!(next(200, "https://a/", "/z").unwrap().is_none());
    }

    #[test]
    fn another_origin_gets_the_headers_but_no_secrets_then_or_later() {
        let hides = |value: &[u8]| value == b"a secret";
        let names = |request: &Request| {
            let mut names: Vec<String> = request.headers.keys().map(ToString::to_string).collect();
            names.sort_unstable();
            names
        };
        for to in ["https://b/", "https://a:8443/"] {
            let mut redirects = Redirects::new(true);
            let away = redirects
                .next(request("https://a/", Method::GET), &answer(307, to), false, hides)
                .unwrap()
                .unwrap();
            assert_eq!(names(&away), ["content-type", "x-tenant"], "{to}");
            let back = redirects.next(away, &answer(307, "https://a/admin"), false, hides).unwrap().unwrap();
            assert_eq!(names(&back), ["content-type", "x-tenant"], "{to}");
        }
        let here = next(307, "https://a/", "/b").unwrap().unwrap();
        assert_eq!(here.headers.len(), 6);
    }

    #[test]
    fn a_location_without_a_place_leads_nowhere() {
        for to in ["", "  "] {
            assert!(next(302, "https://a/", to).unwrap().is_none(), "{to:?}");
        }
    }

    #[test]
    fn the_same_place_with_a_new_cookie_is_no_circle() {
        let mut redirects = Redirects::new(false);
        let at = |url: &str| request(url, Method::GET);
        let again = redirects.next(at("http://a/"), &answer(302, "/b"), false, |_| false).unwrap().unwrap();
        let back = redirects.next(again, &answer(302, "/"), true, |_| false).unwrap().unwrap();
        assert!(matches!(
            redirects.next(back, &answer(302, "/"), false, |_| false),
            Err(RedirectError::Circle(_))
        ));
        let mut redirects = Redirects::new(false);
        let ends =
            std::iter::repeat_with(|| redirects.next(at("http://a/"), &answer(302, "/"), true, |_| false))
                .take(11)
                .find_map(Result::err);
        assert!(matches!(ends, Some(RedirectError::TooMany(_))));
    }

    #[test]
    fn a_login_isn_t_led_out_of_https_and_a_secret_body_not_elsewhere() {
        assert!(matches!(next(302, "https://a/", "http://a/"), Err(RedirectError::Downgrade(_))));
        let plain = Redirects::new(false).next(
            request("https://a/", Method::GET),
            &answer(302, "http://a/"),
            false,
            |_| false,
        );
        assert!(plain.unwrap().is_some());
        for (status, method) in [(307, Method::POST), (302, Method::PUT)] {
            let secret = Redirects::new(false).next(
                request("https://a/", method),
                &answer(status, "https://b/"),
                false,
                |_| true,
            );
            assert!(matches!(secret, Err(RedirectError::Body(_))));
        }
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
            .next(request("http://a/", Method::GET), &answer(302, "/b"), false, |_| false)
            .unwrap()
            .unwrap();
        let circle = redirects.next(at_b, &answer(302, "/"), false, |_| false);
        assert_eq!(
            circle.err().map(|error| error.to_string()),
            Some("redirected in a circle: http://a/ → http://a/b → http://a/".to_owned())
        );

        let mut redirects = Redirects::new(false);
        let mut at = request("http://a/", Method::GET);
        for step in 0..10 {
            at = redirects.next(at, &answer(302, &format!("/{step}")), false, |_| false).unwrap().unwrap();
        }
        assert!(matches!(
            redirects.next(at, &answer(302, "/eleventh"), false, |_| false),
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
                let Ok(Some(next)) = redirects.next(at, &answer, false, |_| true) else { return Ok(()) };
                let home = "https://a/".parse::<Url>().unwrap().origin();
                prop_assert!(next.url.scheme() == "https" && next.url.username().is_empty());
                prop_assert!(next.url.password().is_none() && next.url.fragment().is_none());
                prop_assert!(next.url.origin() == home || (next.headers.is_empty() && next.body.is_none()), "{}", next.url);
                at = next;
            }
        }
    }
}
