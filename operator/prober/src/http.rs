//! The check of HTTP: the request, the redirects that it leads to, and what is made of the answer.

mod answer;
mod client;
mod cookies;
mod decode;
mod expect;
mod extract;
mod json;
mod oauth;
mod redirect;
mod text;

use ::http::{HeaderMap, HeaderValue, header};
use ::url::Url;
use bytes::Bytes;
use tidewatch_crds::parse_address;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::plan::{Auth, HttpPlan, Variables};
use crate::prober::Course;
use crate::redact::Redactor;
use crate::report::CheckReport;
use crate::tls::TlsSettings;

use answer::Answer;
use client::{Client, Request};
pub(crate) use cookies::Cookies;
use extract::ExtractError;
use redirect::Redirects;

pub(crate) async fn run(plan: &HttpPlan, course: Course<'_>) -> Result<(), Failure> {
    let Course { means, family, deadline, trace, variables, cookies, redactor, report } = course;
    let client = Client { means, family, deadline, trace };
    let mut request = request(plan, variables)?;
    let site = Site::new(plan, &request.url, variables);
    match &plan.auth {
        None => {}
        Some(Auth::Header(name, value)) => {
            request.headers.insert(name, value.clone());
        }
        Some(Auth::Oauth(oauth)) => {
            let (tls, name) = site.settings(&oauth.token_url);
            let value = oauth::token(oauth, &client, &tls.or_default_trust(), name, redactor, report).await?;
            request.headers.insert(header::AUTHORIZATION, value);
        }
    }
    let began = Instant::now();
    let (answer, url) = follow(plan, &client, &site, request, cookies, redactor, report).await?;
    let took = began.elapsed();
    let redirects = report.redirects;
    // Which of the answers it was would else be a riddle.
    let named = |failure: Failure| match redirects {
        0 => failure,
        _ => failure.at(&format!("redirected to {url}")),
    };
    // First, since an answer that isn't as expected is shown: without what was extracted of it.
    let extracted: Vec<_> =
        plan.extract.iter().map(|extract| (extract, extract::value(extract, &answer))).collect();
    extracted.iter().filter_map(|(_, value)| value.as_ref().ok()).for_each(|value| redactor.add(value));
    let hides_all = extracted.iter().any(|(_, value)| matches!(value, Err(ExtractError::TooLong { .. })));
    expect::judge(&plan.expect, &answer, took)
        .map_err(|failure| if hides_all { failure.without_answer() } else { failure })
        .map_err(named)?;
    for (extract, value) in extracted {
        let value = value.map_err(|error| named(Failure::new(error)))?;
        variables.insert(extract.name.clone(), value);
    }
    Ok(())
}

/// The host that a check is meant for, and how it is spoken to.
struct Site<'a> {
    host: Option<String>,
    tls: &'a TlsSettings,
    /// The name on its certificate, where that isn't the host.
    server_name: Option<String>,
    others: TlsSettings,
}

impl<'a> Site<'a> {
    fn new(plan: &'a HttpPlan, url: &Url, variables: &Variables) -> Self {
        Self {
            host: url.host_str().map(str::to_owned),
            tls: &plan.tls,
            server_name: plan.server_name.as_ref().map(|name| name.render(variables)),
            others: plan.tls.for_other_host(),
        }
    }

    /// The settings for `url`, which may be of another host, and the name on its certificate.
    fn settings(&self, url: &Url) -> (&TlsSettings, Option<&str>) {
        if url.host_str() == self.host.as_deref() {
            (self.tls, self.server_name.as_deref())
        } else {
            (&self.others, None)
        }
    }
}

/// The request as the check asks for it, without login.
fn request(plan: &HttpPlan, variables: &Variables) -> Result<Request, Failure> {
    let text = plan.url.render(variables);
    let url: Url =
        parse_address(&text).map_err(|why| Failure::new(format!("{text:?} isn't an address: {why}")))?;
    let mut headers = HeaderMap::with_capacity(plan.headers.len() + 1);
    for (name, value) in &plan.headers {
        let value = HeaderValue::from_str(&value.render(variables)).map_err(|_| {
            Failure::new(format!(
                "header {name}: a variable's value has characters that a header can't carry"
            ))
        })?;
        headers.append(name, value);
    }
    let body = plan.body.as_ref().map(|body| Bytes::from(body.render(variables)));
    Ok(Request { url, method: plan.method.clone(), headers, body })
}

/// The last answer, where redirects are followed, else the first; and where it came from.
async fn follow(
    plan: &HttpPlan,
    client: &Client<'_>,
    site: &Site<'_>,
    mut request: Request,
    cookies: &mut Cookies,
    redactor: &mut Redactor,
    report: &mut CheckReport,
) -> Result<(Answer, Url), Failure> {
    let mut redirects = Redirects::new(plan.auth.is_some());
    loop {
        let mut sent = request.clone();
        if let Some(cookie) = cookies.header(&sent.url, &sent.headers) {
            sent.headers.insert(header::COOKIE, cookie);
        }
        let (tls, name) = site.settings(&sent.url);
        let answer = client.send(&sent, tls, name, report).await.map_err(|error| match report.redirects {
            0 => Failure::new(error),
            _ => Failure::new(error).at(&format!("redirected to {}", sent.url)),
        })?;
        let set_cookies = cookies.take(&sent.url, &sent.headers, &answer.headers, redactor);
        if !plan.follow_redirects {
            return Ok((answer, sent.url));
        }
        let hides = |bytes: &[u8]| redactor.hides(&String::from_utf8_lossy(bytes));
        match redirects.next(request, &answer, set_cookies, hides).map_err(Failure::new)? {
            None => return Ok((answer, sent.url)),
            Some(next) => request = next,
        }
        report.redirects += 1;
    }
}
