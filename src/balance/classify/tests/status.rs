//! What a status says where no words do.

use super::*;

/// What has not come may be the reason that would have told one request from the key or the account.
#[test]
fn of_a_body_that_breaks_off_what_is_missing_is_not_taken_for_nothing() {
    let cut = |status, begun: &str| classify_cut(status, &ErrorHead::default(), begun.as_bytes(), &Borrowed::new(), 0);
    for begun in ["", r#"{"error":{"mess"#] {
        assert_eq!((cut(401, begun), cut(402, begun)), (Failure::Denied, Failure::Denied), "{begun}");
        assert_eq!((cut(400, begun), cut(429, begun)), (Failure::Client, LIMITED), "{begun}");
    }
    assert_eq!(cut(401, r#"{"error":{"code":"invalid_api_key"}}"#), Failure::KeyDead, "all of it has come");
}

#[test]
fn the_status_alone() {
    for (status, expected) in [
        (301, Failure::ServerError),
        (400, Failure::Client),
        (401, Failure::KeyDead),
        (402, Failure::QuotaExhausted),
        (403, Failure::Denied),
        (404, Failure::ModelMissing),
        (405, Failure::ModelMissing),
        (408, Failure::Timeout),
        (409, Failure::Client),
        (413, Failure::Client),
        (418, Failure::Client),
        (422, Failure::Client),
        (425, Failure::ServerError),
        (429, LIMITED),
        (498, Failure::KeyDead),
        (500, Failure::ServerError),
        (501, Failure::ModelMissing),
        (502, Failure::ServerError),
        (503, Failure::ServerError),
        (504, Failure::Timeout),
        (524, Failure::Timeout),
        (529, Failure::ServerError),
        (599, Failure::ServerError),
        (999, Failure::ServerError),
        (0, Failure::ServerError),
    ] {
        for body in ["", "no json", "{}", "[]", "null", "{\"error\":null}", "{\"error\":{}}"] {
            assert_eq!(judged(status, body), expected, "{status} {body}");
        }
    }
}
