//! What the head of an error answer says of what is wrong.

use super::retry_after::retry_after_header;
use http::HeaderMap;

/// Where Amazon names an error of its REST APIs, whose bodies have the message alone: a name, which may have a namespace and `#`
/// before it, and `:` and an address behind it (smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html, "Operation error
/// serialization").
const ERROR_TYPE: &str = "x-amzn-errortype";
/// The longest name that is read, in bytes.
const ERROR_TYPE_BYTES_MAX: usize = 256;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorHead {
    /// When to come back, as [`retry_after_header`] finds it.
    pub retry_after: Option<String>,
    /// The error's name, in lower case: what its body says as a code elsewhere.
    pub(super) code: Option<String>,
}

impl ErrorHead {
    /// What these fields say.
    pub fn read(headers: &HeaderMap) -> Self {
        let kind = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.filter(|kind| kind.len() <= ERROR_TYPE_BYTES_MAX).and_then(|kind| kind.split(':').next());
        let name = kind.and_then(|kind| kind.rsplit('#').next()).map(|name| name.trim().to_ascii_lowercase());
        Self { retry_after: retry_after_header(headers), code: name.filter(|name| !name.is_empty()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_named_without_what_stands_around_its_name() {
        for (value, expected) in [
            ("ValidationException", Some("validationexception")),
            ("FooError:http://internal.amazon.com/coral/com.amazon.bedrock/", Some("fooerror")),
            ("aws.protocoltests.restjson#FooError:http://internal.amazon.com/coral/", Some("fooerror")),
            (" FooError ", Some("fooerror")),
            ("", None),
            (":", None),
            (&"x".repeat(ERROR_TYPE_BYTES_MAX + 1), None),
        ] {
            let headers = HeaderMap::from_iter([(ERROR_TYPE.parse().unwrap(), value.parse().unwrap())]);
            assert_eq!(ErrorHead::read(&headers).code.as_deref(), expected, "{value}");
        }
        assert_eq!(ErrorHead::read(&HeaderMap::new()), ErrorHead::default());
    }
}
