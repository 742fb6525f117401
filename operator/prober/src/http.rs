//! The check of HTTP: the request, the redirects that it leads to, and what is made of the answer.

mod client;
mod expect;
mod extract;
mod oauth;
mod redirect;
mod url;

use ::http::{HeaderMap, HeaderValue};
use ::url::Url;
use bytes::Bytes;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::plan::{Auth, HttpPlan, Variables};
use crate::prober::Course;
use crate::redact::Redactor;
use crate::report::CheckReport;

use client::{Answer, Client, Request};
use redirect::Redirects;
pub(crate) use url::parse_url;

pub(crate) async fn run(plan: &HttpPlan, course: Course<'_>) -> Result<(), Failure> {
    let Course { means, family, deadline, trace, variables, redactor, report } = course;
    let client = Client { means, family, deadline, trace };
    let mut request = request(plan, variables)?;
    match &plan.auth {
        None => {}
        Some(Auth::Header(name, value)) => {
            request.headers.insert(name, value.clone());
        }
        Some(Auth::Oauth(oauth)) => {
            let value = oauth::token(oauth, &client, &plan.trust.or_default(), redactor, report).await?;
            request.headers.insert(::http::header::AUTHORIZATION, value);
        }
    }
    let began = Instant::now();
    let answer = follow(plan, &client, request, redactor, report).await?;
    expect::judge(&plan.expect, &answer, began.elapsed())?;
    for extract in &plan.extract {
        let value = extract::value(extract, &answer)?;
        redactor.add(&value);
        variables.insert(extract.name.clone(), value);
    }
    Ok(())
}

/// The request as the check asks for it, without login.
fn request(plan: &HttpPlan, variables: &Variables) -> Result<Request, Failure> {
    let text = plan.url.render(variables);
    let url: Url =
        parse_url(&text).map_err(|why| Failure::new(format!("{text:?} isn't an address: {why}")))?;
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

/// The last answer, where redirects are followed; else the first.
async fn follow(
    plan: &HttpPlan,
    client: &Client<'_>,
    mut request: Request,
    redactor: &Redactor,
    report: &mut CheckReport,
) -> Result<Answer, Failure> {
    let mut redirects = Redirects::new(plan.auth.is_some());
    loop {
        let answer =
            client.send(&request, &plan.trust, report).await.map_err(|error| match report.redirects {
                0 => Failure::new(error),
                _ => Failure::new(format!("redirected to {}: {error}", request.url)),
            })?;
        if !plan.follow_redirects {
            return Ok(answer);
        }
        let holds_secret = |body: &Bytes| redactor.hides(&String::from_utf8_lossy(body));
        match redirects.next(request, &answer, holds_secret).map_err(Failure::new)? {
            None => return Ok(answer),
            Some(next) => request = next,
        }
        report.redirects += 1;
    }
}
