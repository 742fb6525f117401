//! The cookies of a run. Pure but for the clock by which they expire.
//!
//! They are kept from one request to the next within a run, by the rules of browsers (RFC 6265), so that a login or a
//! "set a cookie and come back" redirect works; and they are dropped with the run, since a probe that comes back with
//! what it was once given doesn't see what a new visitor sees. A run that is tried again begins without any.

use std::cmp::Reverse;

use cookie_store::{Cookie, CookieStore, RawCookie, StoreAction};
use http::{HeaderMap, HeaderValue, header};
use url::{Host, Url};

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
    /// Those in the store, in the order in which they were first set.
    order: Vec<Key>,
}

/// What tells a cookie from others: domain, path and name.
type Key = (String, String, String);

fn key(cookie: &Cookie<'_>) -> Key {
    (String::from(&cookie.domain), String::from(&cookie.path), cookie.name().to_owned())
}

impl Cookies {
    /// The header Cookie for a request to `url` with `headers`: what the user wrote into it, and the cookies of which it
    /// has none.
    pub(super) fn header(&self, url: &Url, headers: &HeaderMap) -> Option<HeaderValue> {
        let written = headers.get(header::COOKIE);
        let own = written.map(header_text).unwrap_or_default();
        let has = |name: &str| own.split(';').any(|pair| pair.trim().split('=').next() == Some(name));
        let site = site(url, headers);
        let mut kept = self.store.matches(&site);
        kept.retain(|cookie| !has(cookie.name()));
        // RFC 6265, section 5.4: the longest path first, then the one that was set first.
        kept.sort_by_cached_key(|cookie| {
            let key = key(cookie);
            (Reverse(key.1.len()), self.order.iter().position(|set| *set == key))
        });
        let mut value = written.map(|value| value.as_bytes().to_vec()).unwrap_or_default();
        for cookie in kept {
            if !value.is_empty() {
                value.extend_from_slice(b"; ");
            }
            value.extend_from_slice(cookie.name().as_bytes());
            value.push(b'=');
            value.extend_from_slice(cookie.value().as_bytes());
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
        for (index, header) in answer.get_all(header::SET_COOKIE).iter().enumerate() {
            let text = header_text(header);
            let Ok(cookie) = RawCookie::parse(text.into_owned()) else { continue };
            // Also of one that isn't kept: an expectation of the header may show it.
            if cookie.value().chars().count() >= HIDDEN_FROM {
                redactor.hide(cookie.value());
            }
            if index < MOST_OF_ANSWER && self.taken < MOST_OF_RUN && header.len() <= LONGEST {
                changed |= self.insert(&cookie, &site);
                self.taken += 1;
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
        if !keeps_its_promise(cookie, site) {
            return false;
        }
        let before = self.values(cookie.name());
        let Ok(cookie) = Cookie::try_from_raw_cookie(cookie, site) else { return false };
        let (name, key) = (cookie.name().to_owned(), key(&cookie));
        match self.store.insert(cookie.into_owned(), site) {
            Ok(StoreAction::ExpiredExisting) => {
                self.order.retain(|set| *set != key);
                true
            }
            Ok(StoreAction::Inserted | StoreAction::UpdatedExisting) => {
                if !self.order.contains(&key) {
                    self.order.push(key);
                }
                self.values(&name) != before
            }
            Err(_) => false,
        }
    }

    fn values(&self, name: &str) -> Vec<String> {
        let all = self.store.iter_unexpired().filter(|cookie| cookie.name() == name);
        all.map(|cookie| cookie.value().to_owned()).collect()
    }
}

/// Whether a cookie comes the way that its attributes and the beginning of its name promise (RFC 6265bis, sections 4.1.3
/// and 5.7): one that is to be kept from plain HTTP doesn't come over it.
fn keeps_its_promise(cookie: &RawCookie<'_>, site: &Url) -> bool {
    let begins = |prefix: &str| {
        cookie.name().get(..prefix.len()).is_some_and(|name| name.eq_ignore_ascii_case(prefix))
    };
    let is_secure = cookie.secure() == Some(true);
    let is_of_host = cookie.domain().is_none() && cookie.path() == Some("/");
    (!is_secure || is_trustworthy(site))
        && (is_secure || !(begins("__Secure-") || begins("__Host-")))
        && (is_of_host || !begins("__Host-"))
}

/// Whether nobody on the way could have set a cookie of the site, or read one: https, or this machine.
fn is_trustworthy(site: &Url) -> bool {
    site.scheme() == "https"
        || match site.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
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
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_cookie_goes_where_browsers_send_it() {
        let mut cookies = Cookies::default();
        set(
            &mut cookies,
            "https://www.shop.test/login/form",
            &["host=1", "site=2; Domain=shop.test; Path=/", "secure=3; Path=/; Secure", "root=4; Path=/"],
        );
        assert_eq!(sent(&cookies, "https://www.shop.test/login/x", &[]), "host=1; site=2; secure=3; root=4");
        assert_eq!(sent(&cookies, "http://www.shop.test/", &[]), "site=2; root=4");
        assert_eq!(sent(&cookies, "https://api.shop.test/", &[]), "site=2");
        assert_eq!(sent(&cookies, "https://shop.example/", &[]), "");
    }

    #[test]
    fn the_longest_path_comes_first_then_what_was_set_first() {
        let mut cookies = Cookies::default();
        let names = ["z", "y", "x", "w", "v", "u", "t", "s"];
        for name in names {
            set(&mut cookies, "http://a.test/", &[&format!("{name}=1; Path=/")]);
        }
        set(&mut cookies, "http://a.test/", &["deep=1; Path=/a/b", "mid=1; Path=/a", "z=2; Path=/"]);
        let sent_at = |cookies: &Cookies, url| sent(cookies, url, &[]);
        assert_eq!(sent_at(&cookies, "http://a.test/"), "z=2; y=1; x=1; w=1; v=1; u=1; t=1; s=1");
        assert_eq!(
            sent_at(&cookies, "http://a.test/a/b/c"),
            "deep=1; mid=1; z=2; y=1; x=1; w=1; v=1; u=1; t=1; s=1"
        );
        // One that was removed in between comes last.
        assert!(set(&mut cookies, "http://a.test/", &["z=; Path=/; Max-Age=0"]));
        assert!(set(&mut cookies, "http://a.test/", &["z=2; Path=/"]));
        assert_eq!(sent_at(&cookies, "http://a.test/"), "y=1; x=1; w=1; v=1; u=1; t=1; s=1; z=2");
    }

    #[test]
    fn a_cookie_that_is_to_be_kept_from_plain_http_isn_t_taken_over_it() {
        for (url, cookie, taken) in [
            ("http://shop.test/", "a=1; Secure", false),
            ("https://shop.test/", "a=1; Secure", true),
            ("http://localhost/", "a=1; Secure", true),
            ("http://127.0.0.1/", "a=1; Secure", true),
            ("https://shop.test/", "__Secure-a=1", false),
            ("https://shop.test/", "__Secure-a=1; Secure", true),
            ("http://shop.test/", "__secure-a=1; Secure", false),
            ("https://shop.test/", "__Host-a=1; Secure; Path=/", true),
            ("https://shop.test/", "__Host-a=1; Secure; Path=/x", false),
            ("https://shop.test/", "__Host-a=1; Secure; Path=/; Domain=shop.test", false),
            ("https://shop.test/", "__Host-a=1; Path=/", false),
        ] {
            let mut cookies = Cookies::default();
            assert_eq!(set(&mut cookies, url, &[cookie]), taken, "{url} {cookie}");
            assert_eq!(cookies.store.iter_any().count(), usize::from(taken), "{url} {cookie}");
        }
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

    #[test]
    fn the_value_of_a_cookie_that_isn_t_kept_is_hidden_too() {
        let mut answer = HeaderMap::new();
        let long = format!("long-{}", "x".repeat(LONGEST));
        let values = (0..=MOST_OF_ANSWER).map(|number| format!("session-{number}")).chain([long.clone()]);
        for (number, value) in values.enumerate() {
            let cookie = HeaderValue::from_str(&format!("c{number}={value}")).unwrap();
            answer.append(header::SET_COOKIE, cookie);
        }
        let mut redactor = Redactor::default();
        let url = "http://a.test/".parse().unwrap();
        Cookies::default().take(&url, &HeaderMap::new(), &answer, &mut redactor);
        for value in [format!("session-{MOST_OF_ANSWER}"), long] {
            let shown = redactor.redact(&format!("the header is c={value}"), 10_000);
            assert!(!shown.contains(&value), "{shown}");
        }
    }
}
