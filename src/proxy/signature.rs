//! Amazon's signature of requests (Signature Version 4): what stands in place of a key that is shown.

use super::http1::RequestHead;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue};
use pingora::{ErrorType, OrErr};
use std::time::SystemTime;

/// The service that is signed for: Bedrock, all its endpoints.
const SERVICE: &str = "bedrock";
/// Where the host names no region (something in front of Amazon's endpoint).
const REGION_OTHERWISE: &str = "us-east-1";
/// The label of a host before its region: `bedrock-runtime.REGION.amazonaws.com`, `bedrock-runtime-fips.REGION…`,
/// `vpce-1.bedrock-runtime.REGION.vpce.amazonaws.com`.
const BEFORE_REGION: &str = "bedrock";

/// What signs an upstream's requests. No `Debug`: it holds the secret.
pub struct Signer {
    identity: Identity,
    region: String,
}

const EXPECTED: &str = "is no key of Amazon's, expected `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, followed by `:SESSION_TOKEN` if there is one, or a Bedrock \
     API key";

impl Signer {
    /// Of a key as it is configured, `ACCESS_KEY_ID:SECRET_ACCESS_KEY` or with `:SESSION_TOKEN` behind, for this host.
    /// `None`: it is another kind of key, without a colon.
    ///
    /// # Errors
    /// What such a key should be. It does not repeat it.
    pub fn of(key: &str, host: &str) -> Result<Option<Self>, &'static str> {
        let parts: Vec<&str> = key.trim().split(':').collect();
        let (id, secret, token) = match parts[..] {
            [_] => return Ok(None),
            [id, secret] => (id, secret, None),
            [id, secret, token] => (id, secret, Some(token.to_owned())),
            _ => return Err(EXPECTED),
        };
        if parts.contains(&"") {
            return Err(EXPECTED);
        }
        let identity = Credentials::new(id, secret, token, None, "tollgate").into();
        Ok(Some(Self { identity, region: region(host).to_owned() }))
    }

    /// Signs a request that is complete: its host, content type, path, query and body.
    ///
    /// # Errors
    /// It cannot be signed, or the signature cannot stand in a header.
    pub(super) fn sign(&self, head: &mut RequestHead, body: &[u8], at: SystemTime) -> pingora::Result<()> {
        let failed = || "the request cannot be signed";
        let params: SigningParams<'_> = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name(SERVICE)
            .time(at)
            .settings(SigningSettings::default())
            .build()
            .or_err_with(ErrorType::InternalError, failed)?
            .into();
        let text = |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
        let signed = [HOST, CONTENT_TYPE];
        let fields = signed.iter().filter_map(|name| Some((name.as_str(), text(name)?)));
        let url = format!("https://{}{}", text(&HOST).unwrap_or_default(), head.target);
        let request = SignableRequest::new(head.method.as_str(), url, fields, SignableBody::Bytes(body))
            .or_err_with(ErrorType::InternalError, failed)?;
        let (instructions, _) = sign(request, &params).or_err_with(ErrorType::InternalError, failed)?.into_parts();
        for field in instructions.into_parts().0 {
            let mut value = HeaderValue::from_str(field.value()).or_err_with(ErrorType::InternalError, failed)?;
            value.set_sensitive(true);
            head.headers.insert(HeaderName::from_static(field.name()), value);
        }
        Ok(())
    }
}

/// The region that a host of Amazon's names.
fn region(host: &str) -> &str {
    let mut labels = host.split('.').skip_while(|label| !label.starts_with(BEFORE_REGION)).skip(1);
    let is_region = |label: &&str| label.matches('-').count() >= 2;
    labels.next().filter(is_region).unwrap_or(REGION_OTHERWISE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn the_region_is_the_hosts() {
        for (host, expected) in [
            ("bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1"),
            ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("vpce-0a-b.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com", "ap-southeast-2"),
            ("bedrock-runtime.us-west-2.api.aws", "us-west-2"),
            ("bedrock.internal", "us-east-1"),
            ("127.0.0.1", "us-east-1"),
        ] {
            assert_eq!(region(host), expected, "{host}");
        }
    }

    fn head(target: &str) -> RequestHead {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("bedrock-runtime.us-east-1.amazonaws.com"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("traceparent", HeaderValue::from_static("not signed"));
        RequestHead { method: Method::POST, target: target.to_owned(), headers }
    }

    fn signed(key: &str, head: &mut RequestHead) {
        // 2015-08-30T12:36:00Z, as in Amazon's own examples.
        let at = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let signer = Signer::of(key, "bedrock-runtime.us-east-1.amazonaws.com").unwrap().unwrap();
        signer.sign(head, br#"{"messages":[]}"#, at).unwrap();
    }

    /// The expected signatures were computed with botocore, Amazon's Python SDK.
    #[test]
    fn a_request_is_signed_as_amazons_own_sdks_do() {
        const KEY: &str = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let mut plain = head("/model/us.amazon.nova-lite-v1%3A0/converse");
        signed(KEY, &mut plain);
        assert_eq!(plain.headers["x-amz-date"], "20150830T123600Z");
        assert_eq!(plain.headers["authorization"], PLAIN);
        assert!(plain.headers["authorization"].is_sensitive());
        let mut with_token = head("/model/arn%3Aaws%3Abedrock%3A%3A1%3Ainference-profile%2Fx/converse-stream");
        signed(&format!("{KEY}:SESSION/TOKEN=="), &mut with_token);
        assert_eq!(with_token.headers["x-amz-security-token"], "SESSION/TOKEN==");
        assert_eq!(with_token.headers["authorization"], WITH_TOKEN);
    }

    const PLAIN: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=219de9fdc87b4194f316a0d5a2bf87e7761397067868b784b1df82d6e30fc15c";
    const WITH_TOKEN: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=9539663947673587134cba2fd76e85f072a1a0f9f22762bb06e8298ac7094172";

    #[test]
    fn a_key_without_a_colon_is_no_secret_to_sign_with_and_half_a_key_is_refused_without_being_repeated() {
        assert!(Signer::of("ABSKQmVkcm9jaw==", "h").unwrap().is_none());
        for key in ["AKID:", ":secret", "AKID:secret:", "AKID:secret:token:more"] {
            let refusal = Signer::of(key, "h").err().unwrap();
            assert!(!refusal.contains("secret") && !refusal.contains("AKID:"), "{refusal}");
        }
    }
}
