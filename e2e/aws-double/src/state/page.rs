//! Pages of a list, continued by key, so that what comes and goes in between neither shifts nor repeats the rest.

use crate::error::ApiError;

/// The page after `token` and the token of the next. `items` are in ascending order of their keys.
pub(crate) fn page<T>(
    items: impl IntoIterator<Item = (String, T)>,
    token: Option<&str>,
    limit: usize,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let after = token.map(decode).transpose()?;
    let mut rest =
        items.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after)).peekable();
    let mut found = Vec::new();
    let mut last = None;
    while found.len() < limit
        && let Some((key, item)) = rest.next()
    {
        found.push(item);
        last = Some(key);
    }
    let next = rest.peek().and(last).map(|key| encode(&key));
    Ok((found, next))
}

fn encode(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(token: &str) -> Result<String, ApiError> {
    let digit = |character: char| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Option<Vec<u8>> = token.chars().map(digit).collect();
    let bytes = digits.filter(|digits| digits.len() % 2 == 0).map(|digits| {
        let pairs = digits.chunks(2);
        pairs.map(|pair| pair.iter().fold(0_u8, |byte, digit| byte << 4 | digit)).collect::<Vec<u8>>()
    });
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| ApiError::new("InvalidNextToken", "The next token specified is invalid."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(keys: &[&str]) -> Vec<(String, String)> {
        keys.iter().map(|key| ((*key).to_owned(), (*key).to_owned())).collect()
    }

    #[test]
    fn pages_cover_everything_once_even_if_the_list_changes_in_between() {
        let (first, token) = page(items(&["a", "b", "c", "d"]), None, 2).unwrap();
        assert_eq!(first, ["a", "b"]);
        let (second, token) = page(items(&["a", "c", "d"]), token.as_deref(), 2).unwrap();
        assert_eq!(second, ["c", "d"]);
        assert_eq!(token, None);
    }

    #[test]
    fn a_token_that_was_never_given_is_refused() {
        assert_eq!(page(items(&["a"]), Some("rubbish"), 2).unwrap_err().shape, "InvalidNextToken");
    }
}
