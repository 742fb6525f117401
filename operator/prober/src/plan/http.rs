//! The plan of an HTTP check.

use std::time::Duration;

use data_encoding::BASE64;
use http::{HeaderName, HeaderValue, Method, header};
use regex::bytes::Regex;
use tidewatch_crds::canary::{
    Authentication, ClientAuthentication, Extract, HeaderExpect, HttpCheck, HttpExpect, HttpTls, JsonExpect,
    OauthAuthentication,
};
use tidewatch_crds::parse_address;
use url::Url;

use super::error::{Field, PlanError, Problem};
use super::json_path::JsonQuery;
use super::{Planning, Template, duration, pattern};
use crate::tls::TlsSettings;

pub(crate) struct HttpPlan {
    pub(crate) url: Template,
    pub(crate) method: Method,
    pub(crate) headers: Vec<(HeaderName, Template)>,
    pub(crate) body: Option<Template>,
    pub(crate) follow_redirects: bool,
    pub(crate) auth: Option<Auth>,
    pub(crate) tls: TlsSettings,
    /// The name on the certificate; `None`: the host.
    pub(crate) server_name: Option<Template>,
    pub(crate) extract: Vec<ExtractPlan>,
    pub(crate) expect: HttpRules,
}

pub(crate) enum Auth {
    Header(HeaderName, HeaderValue),
    Oauth(Box<OauthPlan>),
}

/// A token by client credentials (RFC 6749, section 4.4).
pub(crate) struct OauthPlan {
    pub(crate) token_url: Url,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) form: String,
}

pub(crate) struct ExtractPlan {
    pub(crate) name: String,
    pub(crate) from: ExtractFrom,
}

pub(crate) enum ExtractFrom {
    JsonPath(JsonQuery),
    Regex(Regex),
    Header(HeaderName),
}

/// What an answer must be like.
#[derive(Default)]
pub(crate) struct HttpRules {
    /// Empty: 200 to 299.
    pub(crate) status: Vec<u16>,
    pub(crate) body_contains: Option<String>,
    pub(crate) body_not_contains: Option<String>,
    pub(crate) body_matches: Option<Regex>,
    pub(crate) json: Vec<JsonRule>,
    pub(crate) headers: Vec<HeaderRule>,
    pub(crate) max_duration: Option<Duration>,
}

pub(crate) struct JsonRule {
    pub(crate) path: JsonQuery,
    pub(crate) rule: Rule,
}

pub(crate) struct HeaderRule {
    pub(crate) name: HeaderName,
    pub(crate) rule: Rule,
}

/// What a value must be like.
pub(crate) enum Rule {
    Equals(String),
    NotEquals(String),
    Contains(String),
    NotContains(String),
    Matches(Regex),
    Exists(bool),
}

impl Planning<'_> {
    pub(super) fn http(&mut self, field: &Field, check: &HttpCheck) -> Result<HttpPlan, PlanError> {
        let url = self.template(&field.field("url"), &check.url)?;
        if let Some(known) = self.known(&url) {
            address(&field.field("url"), &known)?;
        }
        let headers = check
            .headers
            .iter()
            .map(|(name, value)| self.header(&field.item("headers", name), name, value))
            .collect::<Result<_, _>>()?;
        let body = check.body.as_ref().map(|body| self.template(&field.field("body"), body)).transpose()?;
        let auth = match &check.authentication {
            Some(authentication) => Some(self.auth(&field.field("authentication"), authentication)?),
            None => None,
        };
        let (tls, server_name) = match &check.tls {
            Some(tls) => self.http_tls(&field.field("tls"), tls)?,
            None => (TlsSettings::default(), None),
        };
        let plan = HttpPlan {
            url,
            method: method(check.method),
            headers,
            body,
            follow_redirects: check.follow_redirects,
            auth,
            tls,
            server_name,
            extract: check
                .extract
                .iter()
                .map(|extract| extraction(&field.item("extract", &extract.name), extract))
                .collect::<Result<_, _>>()?,
            expect: rules(&field.field("expect"), &check.expect)?,
        };
        // They are there for the checks after this one.
        self.extracted.extend(check.extract.iter().map(|extract| extract.name.clone()));
        Ok(plan)
    }

    fn http_tls(&self, field: &Field, tls: &HttpTls) -> Result<(TlsSettings, Option<Template>), PlanError> {
        let settings = TlsSettings {
            trust: self.trust(field, tls.verify, tls.ca.as_ref())?,
            identity: self.identity(field, tls.client_certificate.as_ref())?,
            validity_of: tls.validity_of.unwrap_or_default(),
        };
        let name = tls.server_name.as_ref().map(|name| self.template(&field.field("serverName"), name));
        Ok((settings, name.transpose()?))
    }

    fn header(&self, field: &Field, name: &str, value: &str) -> Result<(HeaderName, Template), PlanError> {
        let name = header_name(field, name)?;
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE]
            .contains(&name)
        {
            return Err(field.problem(Problem::OwnHeader));
        }
        let value = self.template(field, value)?;
        if let Some(known) = self.known(&value) {
            HeaderValue::from_str(&known).map_err(|_| field.problem(Problem::HeaderValue))?;
        }
        Ok((name, value))
    }

    fn auth(&mut self, field: &Field, authentication: &Authentication) -> Result<Auth, PlanError> {
        let Authentication { basic, bearer, api_key, oauth } = authentication;
        match (basic, bearer, api_key, oauth) {
            (Some(basic), None, None, None) => {
                let field = field.field("basic").field("password");
                // An empty password is one (RFC 7617, section 2).
                let password = self.secret_or_empty(&field, &basic.password)?;
                Ok(Auth::Header(header::AUTHORIZATION, self.basic(&field, &basic.username, &password)?))
            }
            (None, Some(source), None, None) => {
                let field = field.field("bearer");
                let token = self.secret(&field, source)?;
                Ok(Auth::Header(header::AUTHORIZATION, sensitive(&field, &format!("Bearer {token}"))?))
            }
            (None, None, Some(api_key), None) => {
                let field = field.field("apiKey");
                let key = self.secret(&field.field("key"), &api_key.key)?;
                let name = header_name(&field.field("header"), &api_key.header)?;
                Ok(Auth::Header(name, sensitive(&field.field("key"), &key)?))
            }
            (None, None, None, Some(oauth)) => {
                Ok(Auth::Oauth(Box::new(self.oauth(&field.field("oauth"), oauth)?)))
            }
            _ => Err(field.problem(Problem::NotOneOf("basic, bearer, apiKey or oauth"))),
        }
    }

    /// The value of an Authorization header (RFC 7617).
    fn basic(&mut self, field: &Field, username: &str, password: &str) -> Result<HeaderValue, PlanError> {
        let login = BASE64.encode(format!("{username}:{password}").as_bytes());
        self.redactor.add(&login);
        sensitive(field, &format!("Basic {login}"))
    }

    fn oauth(&mut self, field: &Field, oauth: &OauthAuthentication) -> Result<OauthPlan, PlanError> {
        let token_url = address(&field.field("tokenUrl"), &oauth.token_url)?;
        // An empty secret is one (RFC 6749, section 2.3.1).
        let secret = self.secret_or_empty(&field.field("clientSecret"), &oauth.client_secret)?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", &oauth.scope), ("audience", &oauth.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        let authorization = match oauth.client_authentication {
            // RFC 6749, section 2.3.1: both are form-encoded before they become user name and password.
            ClientAuthentication::BasicHeader => {
                let encoded =
                    |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let field = field.field("clientSecret");
                Some(self.basic(&field, &encoded(&oauth.client_id), &encoded(&secret))?)
            }
            ClientAuthentication::RequestBody => {
                form.append_pair("client_id", &oauth.client_id).append_pair("client_secret", &secret);
                None
            }
        };
        Ok(OauthPlan { token_url, authorization, form: form.finish() })
    }
}

fn method(method: tidewatch_crds::canary::Method) -> Method {
    use tidewatch_crds::canary::Method as M;
    match method {
        M::Get => Method::GET,
        M::Head => Method::HEAD,
        M::Post => Method::POST,
        M::Put => Method::PUT,
        M::Patch => Method::PATCH,
        M::Delete => Method::DELETE,
        M::Options => Method::OPTIONS,
    }
}

fn address(field: &Field, text: &str) -> Result<Url, PlanError> {
    parse_address(text).map_err(|why| field.problem(Problem::Url(text.to_owned(), why.to_string())))
}

fn header_name(field: &Field, name: &str) -> Result<HeaderName, PlanError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| field.problem(Problem::HeaderName(name.to_owned())))
}

fn sensitive(field: &Field, value: &str) -> Result<HeaderValue, PlanError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| field.problem(Problem::HeaderValue))?;
    value.set_sensitive(true);
    Ok(value)
}

fn extraction(field: &Field, extract: &Extract) -> Result<ExtractPlan, PlanError> {
    let Extract { name, json_path: path, regex, header } = extract;
    let from = match (path, pattern(&field.field("regex"), regex.as_deref())?, header) {
        (Some(path), None, None) => ExtractFrom::JsonPath(JsonQuery::new(&field.field("jsonPath"), path)?),
        (None, Some(regex), None) => ExtractFrom::Regex(regex),
        (None, None, Some(header)) => ExtractFrom::Header(header_name(&field.field("header"), header)?),
        _ => return Err(field.problem(Problem::NotOneOf("jsonPath, regex or header"))),
    };
    Ok(ExtractPlan { name: name.clone(), from })
}

fn rules(field: &Field, expect: &HttpExpect) -> Result<HttpRules, PlanError> {
    let item = |list: &str, place: usize| field.item(list, place);
    Ok(HttpRules {
        status: expect.status.clone(),
        body_contains: expect.body_contains.clone(),
        body_not_contains: expect.body_not_contains.clone(),
        body_matches: pattern(&field.field("bodyMatches"), expect.body_matches.as_deref())?,
        json: expect
            .json
            .iter()
            .enumerate()
            .map(|(place, json)| json_rule(&item("json", place), json))
            .collect::<Result<_, _>>()?,
        headers: expect
            .headers
            .iter()
            .enumerate()
            .map(|(place, header)| header_rule(&item("headers", place), header))
            .collect::<Result<_, _>>()?,
        max_duration: duration(&field.field("maxDuration"), expect.max_duration.as_deref())?,
    })
}

fn json_rule(field: &Field, expect: &JsonExpect) -> Result<JsonRule, PlanError> {
    let JsonExpect { path, equals, not_equals, contains, exists } = expect;
    let rule = one_rule([
        equals.clone().map(Rule::Equals),
        not_equals.clone().map(Rule::NotEquals),
        contains.clone().map(Rule::Contains),
        exists.map(Rule::Exists),
    ])
    .ok_or_else(|| field.problem(Problem::NotOneOf("equals, notEquals, contains or exists")))?;
    Ok(JsonRule { path: JsonQuery::new(&field.field("path"), path)?, rule })
}

fn header_rule(field: &Field, expect: &HeaderExpect) -> Result<HeaderRule, PlanError> {
    let HeaderExpect { name, equals, not_equals, contains, not_contains, matches, exists } = expect;
    let rule = one_rule([
        equals.clone().map(Rule::Equals),
        not_equals.clone().map(Rule::NotEquals),
        contains.clone().map(Rule::Contains),
        not_contains.clone().map(Rule::NotContains),
        pattern(&field.field("matches"), matches.as_deref())?.map(Rule::Matches),
        exists.map(Rule::Exists),
    ])
    .ok_or_else(|| {
        field.problem(Problem::NotOneOf("equals, notEquals, contains, notContains, matches or exists"))
    })?;
    Ok(HeaderRule { name: header_name(&field.field("name"), name)?, rule })
}

fn one_rule<const N: usize>(rules: [Option<Rule>; N]) -> Option<Rule> {
    let mut given = rules.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(rule), None) => Some(rule),
        _ => None,
    }
}
