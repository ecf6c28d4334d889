//! JSON that is carried as it is written, and texts that are borrowed where they can be.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One valid JSON value, as it is written: numbers keep their digits, objects their order.
#[derive(Clone, Debug)]
pub struct Json<'a>(Cow<'a, str>);

impl<'a> Json<'a> {
    /// A value of the body that is read.
    pub fn raw(value: &'a RawValue) -> Self {
        Self(Cow::Borrowed(value.get()))
    }

    /// This text, if it is one JSON value.
    pub fn parse(text: Cow<'a, str>) -> Option<Self> {
        serde_json::from_str::<&RawValue>(&text).is_ok().then_some(Self(text))
    }

    /// A value of our own. (Nothing that we make fails to be JSON; if it did, it would be `null`.)
    pub fn of(value: &impl Serialize) -> Json<'static> {
        Json(Cow::Owned(serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.trim_ascii()
    }

    /// As serde knows it: for what is looked into.
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_str(self.as_str()).unwrap_or_default()
    }

    /// What stands between an array's brackets; nothing of anything else.
    pub fn elements(&self) -> &str {
        let inside = self.as_str().strip_prefix('[').and_then(|list| list.strip_suffix(']'));
        inside.unwrap_or_default().trim_ascii()
    }

    /// A schema with what it is for in it, where it does not say that itself.
    pub fn described(&self, description: Option<&str>) -> Json<'_> {
        let has_its_own = || self.value().get("description").is_some();
        let inner = self.as_str().strip_prefix('{').map(str::trim_ascii_start);
        let (Some(description), Some(inner)) = (description, inner.filter(|_| !has_its_own())) else {
            return self.clone();
        };
        let comma = if inner.starts_with('}') { "" } else { "," };
        let text = format!("{{\"description\":{}{comma}{inner}", Json::of(&description).as_str());
        Json::parse(text.into()).unwrap_or_else(|| self.clone())
    }

    /// True: an object.
    pub fn is_object(&self) -> bool {
        self.as_str().starts_with('{')
    }

    /// True: an object with nothing in it.
    pub fn is_empty_object(&self) -> bool {
        self.as_str().strip_prefix('{').is_some_and(|rest| rest.trim_start() == "}")
    }
}

/// Equal as values: white space and the order of members mean nothing.
impl PartialEq for Json<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str() || self.value() == other.value()
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(self.as_str()) {
            Ok(raw) => raw.serialize(serializer),
            Err(_) => serializer.serialize_none(),
        }
    }
}

/// A text that serde borrows where it stands unescaped, also in an `Option` or a `Vec`. (A bare `Cow` there is copied.)
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is there and says something.
pub(super) fn filled(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

/// A text's content; of anything else its JSON.
pub(super) fn text_or_json(value: &RawValue) -> Cow<'_, str> {
    serde_json::from_str::<Text<'_>>(value.get()).map_or(Cow::Borrowed(value.get()), |text| text.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_carried_as_it_is_written_and_compared_as_a_value() {
        let raw: &RawValue = serde_json::from_str("{\"b\": 1.50, \"a\":[1e3]}").unwrap();
        let json = Json::raw(raw);
        assert_eq!(serde_json::to_string(&json).unwrap(), "{\"b\": 1.50, \"a\":[1e3]}");
        assert_eq!(json, Json::parse("{\"a\":[1e3],\"b\":1.5}".into()).unwrap());
        assert!(Json::parse("{\"a\":".into()).is_none());
        assert!(Json::parse("1 2".into()).is_none());
        let elements = |text: &str| Json::parse(text.to_owned().into()).unwrap().elements().to_owned();
        assert_eq!(elements(" [ [[1]], [2] ] "), "[[1]], [2]");
        assert_eq!([elements("[]"), elements("{\"a\":[1]}"), elements("\"[1]\"")], [""; 3]);
    }

    #[test]
    fn a_text_without_escapes_is_borrowed() {
        #[derive(Deserialize)]
        struct Has<'a> {
            #[serde(borrow)]
            text: Option<Text<'a>>,
        }
        let borrowed = |json: &'static str| {
            let has: Has<'static> = serde_json::from_str(json).unwrap();
            matches!(has.text.unwrap().0, Cow::Borrowed(_))
        };
        assert!(borrowed(r#"{"text":"plain é"}"#));
        assert!(!borrowed(r#"{"text":"a\nb"}"#));
    }
}
