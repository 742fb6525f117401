//! The claims of a JWT, unverified. They suffice to refuse tokens for another audience, and to know the expiry of a
//! token that the API server has verified.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) expires: Timestamp,
}

#[derive(Deserialize)]
struct Payload {
    exp: i64,
    aud: Audience,
}

/// RFC 7519 4.1.3: one string or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

pub(super) fn read(token: &str, audience: &str, now: Timestamp) -> Result<Claims, &'static str> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("it is no JWT");
    };
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).map_err(|_| "it is no JWT")?;
    let payload: Payload = serde_json::from_slice(&payload).map_err(|_| "it lacks claims")?;
    let expires = Timestamp::from_second(payload.exp).map_err(|_| "it lacks claims")?;
    if expires <= now {
        return Err("it has expired");
    }
    let ours = match &payload.aud {
        Audience::One(one) => one == audience,
        Audience::Several(several) => several.iter().any(|one| one == audience),
    };
    if ours { Ok(Claims { expires }) } else { Err("it is for another audience") }
}

#[cfg(test)]
pub(in super::super) fn token(claims: &serde_json::Value) -> String {
    let part = |value: &serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}.c2ln", part(&serde_json::json!({"alg": "RS256"})), part(claims))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_that_cannot_be_for_us_is_turned_away_without_asking() {
        let now = Timestamp::from_second(1000).unwrap();
        let good = Ok(Claims { expires: Timestamp::from_second(2000).unwrap() });
        for (text, expected) in [
            (token(&json!({"exp": 2000, "aud": ["x", "us"]})), good),
            (
                token(&json!({"exp": 2000, "aud": "us"})),
                Ok(Claims { expires: Timestamp::from_second(2000).unwrap() }),
            ),
            (token(&json!({"exp": 1000, "aud": ["us"]})), Err("it has expired")),
            (token(&json!({"exp": 2000, "aud": ["them"]})), Err("it is for another audience")),
            (token(&json!({"aud": ["us"]})), Err("it lacks claims")),
            ("garbage".to_owned(), Err("it is no JWT")),
            ("a.b.c.d".to_owned(), Err("it is no JWT")),
            ("a.!!!.c".to_owned(), Err("it is no JWT")),
            ("..".to_owned(), Err("it lacks claims")),
        ] {
            assert_eq!(read(&text, "us", now), expected, "{text}");
        }
    }
}
