//! Amazon's side of things, written from its documentation and not from the gateway's code: frames of an event stream, and the
//! check of a signature (Signature Version 4).

use super::provider::Received;
use super::sha256;
use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A frame: lengths, their checksum, headers, payload, the checksum of it all.
pub(crate) fn frame(message_type: &str, name: &str, payload: &Value) -> Bytes {
    let mut headers = Vec::new();
    let kind = format!(":{message_type}-type");
    for (name, value) in [(kind.as_str(), name), (":content-type", "application/json"), (":message-type", message_type)]
    {
        headers.push(u8::try_from(name.len()).expect("a short name"));
        headers.extend_from_slice(name.as_bytes());
        // Type 7: a text, with its length in two bytes.
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).expect("a short value").to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let length = |bytes: usize| u32::try_from(bytes).expect("a short frame").to_be_bytes();
    let mut frame = Vec::new();
    frame.extend_from_slice(&length(16 + headers.len() + payload.len()));
    frame.extend_from_slice(&length(headers.len()));
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.into()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pass = |pad: u8, text: &[u8]| {
        let mut digest = Sha256::new();
        digest.update(block.map(|byte| byte ^ pad));
        digest.update(text);
        digest.finalize().to_vec()
    };
    pass(0x5C, &pass(0x36, text.as_bytes()))
}

/// The signature that a request must have: `signed` are the header fields that it covers, in order.
pub(crate) fn signature(
    secret: &str,
    scope: &str,
    time: &str,
    (method, path): (&str, &str),
    signed: &[(&str, &str)],
    body_sha256: &str,
) -> String {
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let fields: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    // Every service but S3 encodes the path again.
    let path = path.replace('%', "%25");
    let request = format!("{method}\n{path}\n\n{fields}\n{names}\n{body_sha256}");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(request.as_bytes()));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
    hex::encode(hmac(&key, &text))
}

/// Fails if the request is not signed by this key, for this region, over what it has.
pub(crate) fn assert_signed(request: &Received, id: &str, secret: &str, region: &str) {
    let said = request.field("authorization").expect("authorization");
    let part = |name: &str| {
        let (_, rest) = said.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {said}"));
        rest.split(',').next().unwrap_or_default().to_owned()
    };
    assert!(said.starts_with("AWS4-HMAC-SHA256 "), "{said}");
    let time = request.field("x-amz-date").expect("x-amz-date");
    let scope = format!("{}/{region}/bedrock/aws4_request", &time[..8]);
    assert_eq!(part("Credential"), format!("{id}/{scope}"));
    let names = part("SignedHeaders");
    assert!(["host", "x-amz-date"].iter().all(|must| names.split(';').any(|name| name == *must)), "{names}");
    let signed: Vec<(&str, &str)> =
        names.split(';').map(|name| (name, request.field(name).expect("a field that is signed"))).collect();
    let place = (request.method.as_str(), request.target.as_str());
    assert_eq!(part("Signature"), signature(secret, &scope, time, place, &signed, &request.body_sha256), "{said}");
}
