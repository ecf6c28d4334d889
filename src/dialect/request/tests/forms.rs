use super::at;
use crate::dialect::request::{RequestFacts, prompt_text, read_request, splice};
use bytes::Bytes;
use proptest::prelude::*;
use tollgate_plugin_api::Reject;

const EDITS: &str = "/v1/images/edits";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
pub(super) const TYPE: &str = "multipart/form-data; boundary=XX";

pub(super) fn field(name: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

pub(super) fn file(name: &str, value: &str) -> String {
    format!(
        "--XX\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a;b\\\"c.png\"\r\nContent-Type: image/png\r\n\r\n{value}\r\n"
    )
}

pub(super) fn form(parts: &[String]) -> String {
    format!("{}--XX--\r\n", parts.concat())
}

pub(super) fn read(path: &str, content_type: &str, body: &str) -> Result<RequestFacts, Reject> {
    let target = at(path);
    read_request(target.endpoint, &target, Some(content_type), &Bytes::copy_from_slice(body.as_bytes()))
}

fn spliced(path: &str, body: &str, model: Option<&str>) -> String {
    let facts = read(path, TYPE, body).unwrap();
    String::from_utf8(splice(&facts, &Bytes::copy_from_slice(body.as_bytes()), model, true).to_vec()).unwrap()
}

#[test]
fn a_form_is_read_and_its_model_replaced() {
    let build = |model: &str| {
        form(&[
            file("image[]", "\r\n--X\r\nmodel"),
            field("prompt", "a cat"),
            field("model", model),
            field("n", "2"),
            field("stream", "true"),
        ])
    };
    let body = build("gpt-image-1");
    let facts = read(EDITS, TYPE, &body).unwrap();
    assert_eq!((facts.model.as_deref(), facts.choices, facts.stream), (Some("gpt-image-1"), 2, true));
    assert_eq!((facts.media_parts, facts.images, facts.refers_elsewhere), (1, 1, false));
    assert_eq!(facts.prompt_text_bytes, "a catgpt-image-12true".len() as u64);
    assert_eq!(spliced(EDITS, &body, Some("x")), build("x"));
    assert_eq!(spliced(EDITS, &body, None), body);
    let prompt = prompt_text(at(EDITS).endpoint, body.as_bytes(), 3);
    assert_eq!((prompt.beginning().as_str(), prompt.bytes()), ("a c", 5));
    assert_eq!(
        read(EDITS, "Multipart/Form-Data; charset=utf-8; Boundary=\"XX\"", &body).unwrap().model.as_deref(),
        Some("gpt-image-1")
    );
}

#[test]
fn sounds_have_no_bound_of_their_own() {
    let facts = read(TRANSCRIPTIONS, TYPE, &form(&[field("model", "whisper-1"), file("file", "x")])).unwrap();
    assert_eq!((facts.media_parts, facts.media_tokens, facts.refers_elsewhere, facts.stream), (1, 0, true, false));
}

#[test]
fn a_missing_model_is_named_or_refused() {
    let body = form(&[field("prompt", "x"), file("image", "y")]);
    assert_eq!(
        spliced(EDITS, &body, None),
        form(&[field("model", "dall-e-2"), field("prompt", "x"), file("image", "y")])
    );
    assert_eq!(
        spliced(EDITS, &body, Some("z")),
        form(&[field("model", "z"), field("prompt", "x"), file("image", "y")])
    );
    let reject = read(TRANSCRIPTIONS, TYPE, &form(&[file("file", "y")])).unwrap_err();
    assert_eq!(reject.param.as_deref(), Some("model"));
}

#[test]
fn json_is_taken_in_place_of_a_form() {
    let body = r#"{"model":"gpt-image-1","prompt":"x","images":[{"image_url":"data:image/png;base64,QUJD"}]}"#;
    let facts = read(EDITS, "application/json; charset=utf-8", body).unwrap();
    assert_eq!((facts.model.as_deref(), facts.media_parts), (Some("gpt-image-1"), 1));
}

#[test]
#[rustfmt::skip]
fn malformed_forms_are_refused() {
    let model = || field("model", "m");
    let part = |head: &str| format!("--XX\r\n{head}\r\n\r\nm\r\n--XX--\r\n");
    let long_head = format!("Content-Disposition: form-data; name=\"model\"; x=\"{}\"", "x".repeat(9000));
    for (what, body) in [
        ("empty", String::new()),
        ("no boundary", "model=m".to_owned()),
        ("preamble", format!("preamble\r\n{}", form(&[model()]))),
        ("no end", model()),
        ("half an end", format!("{}--XX-", model())),
        ("more after the end", format!("{}{}", form(&[model()]), model())),
        ("other boundary", form(&[model()]).replace("--XX", "--YY")),
        ("longer boundary line", form(&[model()]).replacen("--XX\r\n", "--XXX\r\n", 1)),
        ("line feeds", form(&[model()]).replace("\r\n", "\n")),
        ("boundary after a line feed", form(&[field("prompt", "x\n--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nn"), model()])),
        ("boundary in a line", form(&[field("prompt", "x--XX"), model()])),
        ("two models", form(&[model(), model()])),
        ("model in another case", form(&[field("Model", "n"), model()])),
        ("model as a file", form(&[file("model", "m")])),
        ("model in base64", part("Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64")),
        ("model in UTF-16", part("Content-Disposition: form-data; name=\"model\"\r\nContent-Type: text/plain; charset=utf-16")),
        ("empty model", form(&[field("model", "")])),
        ("model of two lines", form(&[field("model", "a\r\nb")])),
        ("no name", part("Content-Disposition: form-data")),
        ("empty name", part("Content-Disposition: form-data; name=\"\"")),
        ("two names", part("Content-Disposition: form-data; name=\"a\"; name=\"model\"")),
        ("extended name", part("Content-Disposition: form-data; name*=utf-8''model")),
        ("a second, extended name", part("Content-Disposition: form-data; name=\"a\"; name*=utf-8''model")),
        ("escaped name", part("Content-Disposition: form-data; name=\"mode\\l\"")),
        ("open quote", part("Content-Disposition: form-data; name=\"model")),
        ("text behind a quote", part("Content-Disposition: form-data; name=\"model\"x")),
        ("attachment", part("Content-Disposition: attachment; name=\"model\"")),
        ("no disposition", part("Content-Type: text/plain")),
        ("two dispositions", part("Content-Disposition: form-data; name=\"a\"\r\ncontent-disposition: form-data; name=\"model\"")),
        ("folded", part("Content-Disposition: form-data;\r\n name=\"model\"")),
        ("no colon", part("Content-Disposition")),
        ("long head", part(&long_head)),
        ("bad stream", form(&[model(), field("stream", "yes")])),
        ("no choices", form(&[model(), field("n", "0")])),
        ("many choices", form(&[model(), field("n", "1000")])),
        ("many parts", form(&vec![field("x", "y"); 300])),
    ] {
        let reject = read(EDITS, TYPE, &body).err().unwrap_or_else(|| panic!("{what} was taken"));
        assert_eq!(reject.code, tollgate_plugin_api::RejectCode::InvalidRequest, "{what}");
    }
    for content_type in ["", "multipart/form-data", "multipart/mixed; boundary=XX", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"X X \"",
        "multipart/form-data; boundary=XX; boundary=YY", "text/plain"]
    {
        assert!(read(EDITS, content_type, &form(&[model()])).is_err(), "{content_type}");
    }
}

proptest! {
    #[test]
    fn any_form_is_read_or_refused(pieces in prop::collection::vec(prop_oneof![
        Just("--XX".to_owned()), Just("\r\n".to_owned()), Just("--".to_owned()), Just("Content-Disposition: form-data; name=\"model\"".to_owned()),
        Just("\r\n\r\n".to_owned()), Just(field("model", "m")), Just(file("image", "x")), "[ -~\r\n]{0,12}"], 0..12)) {
        let body = pieces.concat();
        if let Ok(facts) = read(EDITS, TYPE, &body) {
            let edited = splice(&facts, &Bytes::from(body.clone()), Some("other"), false);
            let again = read(EDITS, TYPE, std::str::from_utf8(&edited).unwrap()).unwrap();
            prop_assert_eq!(again.model.as_deref(), Some("other"));
        }
    }
}

#[test]
fn who_gets_a_body_is_told_how_it_was_read() {
    let body = form(&[field("model", "m"), file("image", "x")]);
    let told = |content_type: &str, body: &str| {
        let told = read(EDITS, content_type, body).map(|facts| facts.content_type());
        told.ok().map(|told| told.to_str().unwrap().to_owned())
    };
    for taken in [TYPE, "multipart/form-data; x=y; boundary=\"XX\"", "Multipart/Form-Data;boundary=XX; charset=utf-7"] {
        assert_eq!(told(taken, &body).as_deref(), Some(TYPE), "{taken}");
    }
    let quoted = "multipart/form-data; boundary=\"X/X\"";
    assert_eq!(told("multipart/form-data; boundary=X/X", &body.replace("--XX", "--X/X")).as_deref(), Some(quoted));
    for refused in
        ["boundary=XX; boundary*=us-ascii''YY", "boundary=XX; Boundary*0=YY", "boundary*=XX", "boundary*0=XX"]
    {
        assert_eq!(told(&format!("multipart/form-data; {refused}"), &body), None, "{refused}");
    }
    assert_eq!(told(TYPE, &form(&[field("_Charset_", "utf-7"), field("model", "m")])), None);
    let json = r#"{"model":"m","prompt":"x"}"#;
    assert_eq!(told("application/json; charset=utf-7", json).as_deref(), Some("application/json"));
}
