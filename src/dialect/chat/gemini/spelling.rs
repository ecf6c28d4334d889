//! Google's JSON parser (proto3's JSON mapping) takes a field's name in camelCase and in snake_case, and one value where a list
//! is expected; so do we.

use crate::dialect::chat::members::{Object, invalid, read};
use serde_json::value::RawValue;
use std::borrow::Cow;
use tollgate_plugin_api::Reject;

/// An object of the API's own: its members' names in camelCase.
pub(super) fn object<'a>(value: &'a RawValue, path: &str) -> Result<Object<'a>, Reject> {
    object_of(value.get(), path)
}

/// As [`object`], of a text.
pub(super) fn object_of<'a>(json: &'a str, path: &str) -> Result<Object<'a>, Reject> {
    let members = Object::read(json, path)?.0;
    let unset = |value: &RawValue| value.get() == "null";
    Ok(Object(members.into_iter().filter(|(_, v)| !unset(v)).map(|(name, value)| (camel_case(name), value)).collect()))
}

/// A list's elements; a single value is a list of one.
pub(super) fn list<'a>(value: &'a RawValue, path: &str) -> Result<Vec<&'a RawValue>, Reject> {
    if value.get().starts_with('[') {
        return serde_json::from_str(value.get()).map_err(|_| invalid(path, "a list is expected"));
    }
    Ok(vec![value])
}

/// A text.
pub(super) fn text<'a>(value: &'a RawValue, path: &str) -> Result<Cow<'a, str>, Reject> {
    Ok(read::<crate::dialect::chat::Text<'a>>(value, path)?.0)
}

/// An enum's word, as the API writes it: its parser takes any case, and numbers, which older clients send (`numbers`: the words
/// in the order of their numbers).
pub(super) fn word(value: &RawValue, numbers: &[&str], path: &str) -> Result<String, Reject> {
    match value.get().parse::<usize>().ok().and_then(|number| numbers.get(number)) {
        Some(word) => Ok((*word).to_owned()),
        None => Ok(text(value, path)?.to_ascii_uppercase()),
    }
}

/// `max_output_tokens` is `maxOutputTokens`.
pub(super) fn camel_case(name: Cow<'_, str>) -> Cow<'_, str> {
    if !name.trim_start_matches('_').contains('_') {
        return name;
    }
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        match letter {
            '_' if !camel.is_empty() => raise = true,
            letter if std::mem::take(&mut raise) => camel.extend(letter.to_uppercase()),
            letter => camel.push(letter),
        }
    }
    camel.into()
}

/// JSON without the white space between its tokens: Google's answers are indented, and where it becomes a text of its own
/// (OpenAI's arguments) nobody expects that.
pub(super) fn compact(json: &str) -> Cow<'_, str> {
    if !json.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return json.into();
    }
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(json.len()), false, false);
    for letter in json.chars() {
        if in_string || !letter.is_ascii_whitespace() {
            out.push(letter);
        }
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_texts_stay() {
        assert_eq!(compact("{\n \"a b\" : \"\\\\\" ,\t\"c\": \"\\\" }\" }"), r#"{"a b":"\\","c":"\" }"}"#);
        assert!(matches!(compact("{\"a\":1}"), Cow::Borrowed(_)));
    }

    #[test]
    fn both_spellings_are_one_name() {
        for (name, camel) in [
            ("max_output_tokens", "maxOutputTokens"),
            ("topK", "topK"),
            ("_responseJsonSchema", "_responseJsonSchema"),
            ("$ref", "$ref"),
            ("a__b_", "aB"),
            ("_", "_"),
        ] {
            assert_eq!(camel_case(name.into()), camel);
        }
    }
}
