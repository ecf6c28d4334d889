//! What is refused here, and another vendor or account can do.

use super::*;
use serde_json::json;

#[test]
fn what_only_one_vendor_refuses_is_not_the_clients_fault() {
    for (body, expected) in [
        (
            r#"{"error":{"message":"This response_format type is unavailable now","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
            Failure::Elsewhere,
        ),
        (
            r#"{"error":{"message":"Thinking mode does not support this tool_choice","type":"invalid_request_error"}}"#,
            Failure::Elsewhere,
        ),
        (
            r#"{"error":{"message":"invalid temperature: only 1 is allowed for this model","type":"invalid_request_error"}}"#,
            Failure::Elsewhere,
        ),
        (
            r#"{"error":{"message":"tool_choice 'required' is incompatible with thinking enabled","type":"invalid_request_error"}}"#,
            Failure::Elsewhere,
        ),
        (
            r#"{"error":{"message":"<400> InternalError.Algo.InvalidParameter: The tool_choice parameter does not support being set to required or object in thinking mode","type":"invalid_request_error","param":null,"code":"invalid_parameter_error"}}"#,
            Failure::Elsewhere,
        ),
        (
            r#"{"code":"invalid-argument","error":"Model grok-build-0.1 does not support parameter reasoningEffort."}"#,
            Failure::Elsewhere,
        ),
        (
            r#"{"object":"error","message":"Tool call id was toolu_01 but must be a-z, A-Z, 0-9, with a length of 9.","type":"invalid_function_call","param":null,"code":"3280"}"#,
            Failure::Elsewhere,
        ),
        (
            r#"{"object":"error","message":"Unexpected role 'user' after role 'tool'","type":"invalid_request_message_order","param":null,"code":"3230"}"#,
            Failure::Elsewhere,
        ),
        (
            r#"{"error":{"message":"Requests with max_tokens > 4096 must have stream=true","param":"max_tokens","code":"BAD_REQUEST","type":"error"}}"#,
            Failure::Elsewhere,
        ),
        (
            r#"{"message":"messages.2.content: Conversation blocks and tool result blocks cannot be provided in the same turn."}"#,
            Failure::Elsewhere,
        ),
        (
            r#"{"error":{"message":"messages: at least one message is required","type":"invalid_request_error"}}"#,
            Failure::Client,
        ),
        (
            r#"{"error":{"message":"Say that: Thinking mode does not support this tool_choice","type":"invalid_request_error"}}"#,
            Failure::Client,
        ),
    ] {
        assert_eq!(judged(400, body), expected, "{body}");
    }
}

/// What a request goes on from is kept by one account; another that is asked says that it has not got it.
#[test]
fn what_another_account_keeps_is_looked_for_there() {
    let said = |status: u16, code: Value, message: &str| {
        judged(
            status,
            &json!({"error": {"message": message, "type": "invalid_request_error", "code": code}}).to_string(),
        )
    };
    let previous = "Previous response with id 'resp_68' not found.";
    assert_eq!(said(400, json!("previous_response_not_found"), previous), Failure::Elsewhere);
    assert_eq!(said(400, json!(null), previous), Failure::Elsewhere);
    assert_eq!(said(404, json!("not_found"), previous), Failure::Elsewhere);
    let kept = "The encrypted content gAAA...DQ== could not be verified.";
    assert_eq!(said(400, json!("invalid_encrypted_content"), kept), Failure::Elsewhere);
    assert_eq!(said(400, json!(null), kept), Failure::Elsewhere);
    let item = "Item with id 'rs_68' not found. Items are not persisted when `store` is set to false.";
    assert_eq!(said(404, json!(null), item), Failure::Elsewhere);
    assert_eq!(said(404, json!(null), "Conversation with id 'conv_68' not found."), Failure::Elsewhere);
    let none_kept = "Previous response cannot be used for this organization due to Zero Data Retention.";
    assert_eq!(said(400, json!("unsupported_parameter"), none_kept), Failure::Elsewhere);
    // A client's own words, quoted by an error, are none of these.
    assert_eq!(said(400, json!(null), "Invalid input: previous response with id 'x' not found"), Failure::Client);
}
