//! The cookies of a run. Pure but for the clock by which they expire.
//!
//! They are kept from one request to the next within a run, by the rules of browsers (RFC 6265), so that a login or a
//! "set a cookie and come back" redirect works; and they are dropped with the run, since a probe that comes back with
//! what it was once given doesn't see what a new visitor sees. A run that is tried again begins without any.

use cookie_store::{CookieStore, RawCookie, StoreAction};
use http::{HeaderMap, HeaderValue, header};
use url::Url;

use super::text::header_text;
use crate::redact::Redactor;

/// Cookies that are taken of one answer: as many as a browser keeps of a site at least (RFC 6265, section 6.1).
const MOST_OF_ANSWER: usize = 50;
/// Cookies that are taken in one run.
const MOST_OF_RUN: usize = 300;
/// Longest cookie that is taken, bytes (RFC 6265, section 6.1).
const LONGEST: usize = 4096;
/// Values of at least so many characters are hidden in reports, since they may be a session's key.
const HIDDEN_FROM: usize = 8;

/// The cookies of a run.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    store: CookieStore,
    taken: usize,
}

impl Cookies {
    /// The header Cookie for a request to `url` with `headers`: what the user wrote into it, and the cookies of which it
    /// has none.
    pub(super) fn header(&self, url: &Url, headers: &HeaderMap) -> Option<HeaderValue> {
        let written = headers.get(header::COOKIE);
        let own = written.map(header_text).unwrap_or_default();
        let has = |name: &str| own.split(';').any(|pair| pair.trim().split('=').next() == Some(name));
        let site = site(url, headers);
        let kept = self.store.get_request_values(&site).filter(|(name, _)| !has(name));
        let mut value = written.map(|value| value.as_bytes().to_vec()).unwrap_or_default();
        for (name, text) in kept {
            if !value.is_empty() {
                value.extend_from_slice(b"; ");
            }
            value.extend_from_slice(name.as_bytes());
            value.push(b'=');
            value.extend_from_slice(text.as_bytes());
        }
        let mut value = HeaderValue::from_bytes(&value).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Takes the cookies that the answer to a request to `url` sets; says whether any of them is new or another.
    pub(super) fn take(
        &mut self,
        url: &Url,
        request: &HeaderMap,
        answer: &HeaderMap,
        redactor: &mut Redactor,
    ) -> bool {
        let site = site(url, request);
        let mut changed = false;
        for header in answer.get_all(header::SET_COOKIE).iter().take(MOST_OF_ANSWER) {
            if self.taken >= MOST_OF_RUN || header.len() > LONGEST {
                continue;
            }
            let text = header_text(header);
            let Ok(cookie) = RawCookie::parse(text.into_owned()) else { continue };
            changed |= self.insert(&cookie, &site);
            self.taken += 1;
            if cookie.value().chars().count() >= HIDDEN_FROM {
                redactor.hide(cookie.value());
            }
        }
        changed
    }

    fn insert(&mut self, cookie: &RawCookie<'static>, site: &Url) -> bool {
        // One for all of a top-level domain would go to sites of other owners.
        let domain = cookie.domain().map(|domain| domain.trim_start_matches('.'));
        if domain.is_some_and(|domain| !domain.contains('.') && site.host_str() != Some(domain)) {
            return false;
        }
        let before = self.values(cookie.name());
        match self.store.insert_raw(cookie, site) {
            Ok(StoreAction::Inserted | StoreAction::ExpiredExisting) => true,
            Ok(StoreAction::UpdatedExisting) => self.values(cookie.name()) != before,
            // One for another site, say.
            Err(_) => false,
        }
    }

    fn values(&self, name: &str) -> Vec<String> {
        let all = self.store.iter_any().filter(|cookie| cookie.name() == name);
        all.map(|cookie| cookie.value().to_owned()).collect()
    }
}

/// The site that a request is for: where the user wrote a header Host, that host, as in curl.
fn site(url: &Url, headers: &HeaderMap) -> Url {
    let mut site = url.clone();
    if let Some(host) = headers.get(header::HOST) {
        let host = header_text(host);
        let named = Url::parse(&format!("{}://{host}/", url.scheme()));
        if let Some(host) = named.as_ref().ok().and_then(Url::host_str) {
            let _ = site.set_host(Some(host));
        }
    }
    site
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(cookies: &mut Cookies, url: &str, set: &[&str]) -> bool {
        let mut answer = HeaderMap::new();
        for cookie in set {
            answer.append(header::SET_COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        cookies.take(&url.parse().unwrap(), &HeaderMap::new(), &answer, &mut Redactor::default())
    }

    fn sent(cookies: &Cookies, url: &str, written: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in written {
            headers.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let value = cookies.header(&url.parse().unwrap(), &headers);
        let mut pairs: Vec<String> = value
            .map(|value| value.to_str().unwrap().split("; ").map(str::to_owned).collect())
            .unwrap_or_default();
        pairs.sort_unstable();
        pairs.join("; ")
    }

    #[test]
    fn a_cookie_goes_where_browsers_send_it() {
        let mut cookies = Cookies::default();
        set(
            &mut cookies,
            "https://www.shop.test/login/form",
            &["host=1", "site=2; Domain=shop.test; Path=/", "secure=3; Path=/; Secure", "root=4; Path=/"],
        );
        assert_eq!(sent(&cookies, "https://www.shop.test/login/x", &[]), "host=1; root=4; secure=3; site=2");
        assert_eq!(sent(&cookies, "http://www.shop.test/", &[]), "root=4; site=2");
        assert_eq!(sent(&cookies, "https://api.shop.test/", &[]), "site=2");
        assert_eq!(sent(&cookies, "https://shop.example/", &[]), "");
    }

    #[test]
    fn no_cookie_is_taken_for_another_site() {
        let mut cookies = Cookies::default();
        assert!(!set(&mut cookies, "https://evil.test/", &["a=1; Domain=shop.test", "b=2; Domain=test"]));
        assert_eq!(sent(&cookies, "https://shop.test/", &[]), "");
    }

    #[test]
    fn what_the_user_wrote_is_sent_along_and_counts_more() {
        let mut cookies = Cookies::default();
        set(&mut cookies, "http://a.test/", &["sid=server", "theme=dark"]);
        assert_eq!(sent(&cookies, "http://a.test/", &[("cookie", "sid=mine")]), "sid=mine; theme=dark");
    }

    #[test]
    fn the_host_that_the_user_writes_is_the_site() {
        let mut cookies = Cookies::default();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("shop.test:8080"));
        let mut answer = HeaderMap::new();
        answer.append(header::SET_COOKIE, HeaderValue::from_static("a=1; Domain=shop.test"));
        let url = "http://10.0.0.1/".parse().unwrap();
        assert!(cookies.take(&url, &headers, &answer, &mut Redactor::default()));
        assert_eq!(sent(&cookies, "http://10.0.0.1/", &[("host", "shop.test")]), "a=1");
        assert_eq!(sent(&cookies, "http://10.0.0.1/", &[]), "");
    }

    #[test]
    fn a_cookie_that_expires_is_gone_and_one_that_stays_is_no_change() {
        let mut cookies = Cookies::default();
        assert!(set(&mut cookies, "http://a.test/", &["a=1"]));
        assert!(!set(&mut cookies, "http://a.test/", &["a=1"]));
        assert!(set(&mut cookies, "http://a.test/", &["a=2"]));
        assert!(set(&mut cookies, "http://a.test/", &["a=; Max-Age=0"]));
        assert_eq!(sent(&cookies, "http://a.test/", &[]), "");
    }

    #[test]
    fn a_server_can_t_fill_the_memory_with_cookies() {
        let mut cookies = Cookies::default();
        for answer in 0..100 {
            let many: Vec<String> = (0..100).map(|n| format!("c{answer}-{n}=x")).collect();
            set(&mut cookies, "http://a.test/", &many.iter().map(String::as_str).collect::<Vec<_>>());
        }
        set(&mut cookies, "http://b.test/", &[&format!("long={}", "x".repeat(5000))]);
        assert_eq!(cookies.store.iter_any().count(), MOST_OF_RUN);
    }
}
