//! What vendors bill by the piece: images that were made, audio that was heard, text that was spoken.

use crate::calls::{Wire, assert_record, number, send_all, serving, serving_keys, stepped};
use crate::endpoints::post_form;
use crate::support::answers::data;
use crate::support::client::Request;
use crate::support::gateway::{Gateway, Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use serde_json::{Value, json};

const DALL_E_3: &str = "image = 0.04, image_1024x1792 = 0.08, image_hd = 0.08, image_hd_1024x1792 = 0.12";

fn row(name: &str, fees: &str) -> String {
    format!("[[model]]\nname = \"{name}\"\ninput = 0\noutput = 0\nfees = {{ {fees} }}\n")
}

fn image_request(rest: Value) -> Request {
    let mut body = json!({"model": "m", "prompt": "a cat"});
    body.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
    Request::post("/v1/images/generations", &body)
}

fn images(count: usize) -> Answer {
    let data: Vec<Value> =
        (0..count).map(|n| json!({"url": format!("https://example/{n}"), "revised_prompt": "a"})).collect();
    Answer::json(200, &json!({"created": 1, "data": data}))
}

fn extras(record: &Value) -> Vec<(String, u64)> {
    let extras = record["extras"].as_array().expect("a list");
    let pair = |extra: &Value| (extra["kind"].as_str().unwrap_or("").to_owned(), extra["times"].as_u64().unwrap_or(0));
    extras.iter().map(pair).collect()
}

fn explained(gateway: &Gateway, record: &Value) -> String {
    let output = gateway.run(&["explain", record["request_id"].as_str().expect("an id")]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn images_are_billed_by_how_many_there_are_and_by_quality_and_size() {
    let provider = Provider::start(|before, _| images([2, 1, 0, 3, 4][before])).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&row("m", DALL_E_3));
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
    for (asked, held, kind, times, cost) in [
        (json!({"n": 2, "quality": "hd", "size": "1024x1792"}), 240_000_000, "image_hd_1024x1792", 2, 240_000_000),
        // Fewer than were asked for, and of a size that has no fee of its own.
        (
            json!({"n": 2, "quality": "standard", "size": "1024x1024"}),
            80_000_000,
            "image_standard_1024x1024",
            1,
            40_000_000,
        ),
        (json!({}), 120_000_000, "", 0, 0),
        // More than were asked for.
        (json!({"n": 1, "quality": "hd"}), 120_000_000, "image_hd", 3, 240_000_000),
        // By a vendor's own field.
        (json!({"batch_size": 4, "quality": "hd", "size": "1x1"}), 320_000_000, "image_hd_1x1", 4, 320_000_000),
    ] {
        let answer = gateway.send(&image_request(asked).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let record = gateway.record_of(&answer).await;
        assert_record(
            &record,
            json!({"cost_nanos": cost, "held_nanos": held, "usage_source": "reported", "price_missing": false,
                "input_tokens": 0, "output_tokens": 0, "overshoot": cost > held}),
        );
        let expected: &[(String, u64)] = if times > 0 { &[(kind.to_owned(), times)] } else { &[] };
        assert_eq!(extras(&record), expected);
        if times == 2 {
            let text = explained(&gateway, &record);
            assert!(text.contains("image_hd_1024x1792") && text.contains("2 images x 0.12 USD"), "{text}");
        }
    }
    assert_eq!(gateway.key_row("k")["spent_nanos"], 840_000_000);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn no_word_of_a_client_makes_an_image_cheaper() {
    let bare = || images(1);
    let saying = |words: Value| {
        let mut body = json!({"created": 1, "data": [{"b64_json": "QUJD"}]});
        body.as_object_mut().expect("an object").extend(words.as_object().expect("an object").clone());
        Answer::json(200, &body)
    };
    let cases = [
        // What the answer says in no words leaves the request's.
        (json!({"quality": "hd"}), saying(json!({"quality": ""})), "image_hd", 80_000_000, "reported"),
        (json!({"quality": "hd"}), saying(json!({"quality": "AUTO"})), "image_hd", 80_000_000, "reported"),
        (json!({"quality": "hd"}), saying(json!({"quality": "h\u{e9}d"})), "image_hd", 80_000_000, "reported"),
        // The dearest that can come, unless the answer says what came.
        (json!({"quality": "h\u{e9}d"}), bare(), "image_hd_1024x1792", 120_000_000, "estimated"),
        (json!({"quality": "1024x1024", "size": "1024x1024"}), bare(), "image_hd", 80_000_000, "estimated"),
        (
            json!({"quality": "1024x1024", "size": "1024x1024"}),
            saying(json!({"quality": "standard"})),
            "image_standard_1024x1024",
            40_000_000,
            "reported",
        ),
        (json!({"size": ["1024x1024"]}), bare(), "image_hd_1024x1792", 120_000_000, "estimated"),
        (
            json!({"size": "a word that is much too long to be one of a size"}),
            bare(),
            "image_hd_1024x1792",
            120_000_000,
            "estimated",
        ),
        (json!({"size": "1024\u{d7}1792"}), bare(), "image_1024x1792", 80_000_000, "reported"),
    ];
    let answers = cases.iter().map(|case| case.1.clone()).collect();
    let provider = Provider::sequence(answers).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&row("m", DALL_E_3));
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "5"])]).await;
    for (asked, _, kind, cost, source) in cases {
        let answer = gateway.send(&image_request(asked.clone()).key(&key.key)).await;
        let record = gateway.record_of(&answer).await;
        assert_eq!(extras(&record), [(kind.to_owned(), 1)], "{asked}");
        assert_record(&record, json!({"cost_nanos": cost, "usage_source": source, "overshoot": false}));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_image_whose_size_is_left_open_is_not_free_where_all_fees_are_by_size() {
    let told = json!({"created": 1, "size": "1024x1024", "data": [{"url": "https://example/0"}]});
    let provider = Provider::sequence(vec![images(1), images(2), Answer::json(200, &told)]).await;
    let prices = row("m", "image_1024x1024 = 0.04, image_2048x2048 = 0.16");
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&prices);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "0.6"])]).await;
    for (asked, kind, times, cost, source) in [
        // A vendor's own fields for a size, which nobody here reads.
        (json!({"width": 2048, "height": 2048}), "image_2048x2048", 1, 160_000_000, "estimated"),
        (json!({"n": 2, "size": "auto"}), "image_2048x2048", 2, 320_000_000, "estimated"),
        (json!({"size": "1024x1024"}), "image_1024x1024", 1, 40_000_000, "reported"),
    ] {
        let answer = gateway.send(&image_request(asked.clone()).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let record = gateway.record_of(&answer).await;
        assert_eq!(extras(&record), [(kind.to_owned(), times)], "{asked}");
        assert_record(
            &record,
            json!({"cost_nanos": cost, "held_nanos": cost, "usage_source": source, "price_missing": false}),
        );
    }
    let spent = gateway.send(&image_request(json!({})).key(&key.key)).await;
    assert_eq!(spent.status, 402, "{}", spent.text());
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn edits_are_billed_as_their_forms_ask_and_as_the_answer_says() {
    let answer = json!({"created": 1, "size": "1024x1792", "quality": "hd", "data": [{"b64_json": "QUJD"}, {"b64_json": "QUJD"}]});
    let provider = Provider::sequence(vec![images(2), Answer::json(200, &answer)]).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&row("m", DALL_E_3));
    let (gateway, key) = serving(&setup).await;
    for (kind, cost) in [("image_hd", 160_000_000), ("image_hd_1024x1792", 240_000_000)] {
        let fields: [(&str, &[u8]); 5] =
            [("model", b"m"), ("prompt", b"a cat"), ("n", b"2"), ("quality", b"hd"), ("image", b"\x89PNG")];
        let answer = gateway.send(&post_form("/v1/images/edits", &fields).key(&key.key)).await;
        let record = gateway.record_of(&answer).await;
        assert_record(&record, json!({"cost_nanos": cost, "usage_source": "reported"}));
        assert_eq!(extras(&record), [(kind.to_owned(), 2)]);
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn of_a_stream_the_images_that_are_complete_are_billed() {
    let partial =
        |n: u64| data(&json!({"type": "image_generation.partial_image", "partial_image_index": n, "b64_json": "QUJD"}));
    let complete = || {
        data(&json!({"type": "image_generation.completed", "b64_json": "QUJD", "quality": "hd", "size": "1024x1024"}))
    };
    let provider = Provider::start(move |before, _| {
        Answer::stream(match before {
            0 => vec![partial(0), partial(1), complete()],
            _ => vec![partial(0), complete(), complete()],
        })
    })
    .await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&row("m", DALL_E_3));
    let (gateway, key) = serving(&setup).await;
    for n in [1, 2] {
        let answer = gateway.send(&image_request(json!({"n": n, "stream": true})).key(&key.key)).await;
        let record = gateway.record_of(&answer).await;
        assert_record(&record, json!({"outcome": "ok", "cost_nanos": n * 80_000_000, "usage_source": "reported"}));
        assert_eq!(extras(&record), [("image_hd_1024x1024".to_owned(), n)]);
    }
    gateway.finish(&[&key]).await;
}

/// 30,000 bytes: 50.527 seconds at the lowest bit rate, 157 ms at the highest.
fn transcription(format: &str) -> Request {
    let sound = vec![7; 30_000];
    post_form("/v1/audio/transcriptions", &[("model", b"m"), ("response_format", format.as_bytes()), ("file", &sound)])
}

#[tokio::test]
async fn audio_is_billed_by_the_length_that_the_answer_tells() {
    let told = |name: &'static str, body: &str, ms: u64| {
        (name, Answer::new(200, "application/json", body.to_owned()), ms, true)
    };
    let guessed =
        |name: &'static str, kind: &str, body: String, ms: u64| (name, Answer::new(200, kind, body), ms, false);
    let srt = "1\r\n00:00:00,000 --> 00:00:01,100\r\nHi.\r\n\r\n2\r\n00:00:01,100 --> 00:00:02,503\r\nYou.\r\n";
    let cases = [
        told("verbose_json", r#"{"task":"transcribe","duration":8.470000267028809,"text":"Hi."}"#, 8_471),
        told("verbose_json", r#"{"duration":"8.47","text":"Hi."}"#, 8_470),
        told("json", r#"{"text":"Hi.","usage":{"type":"duration","seconds":9}}"#, 9_000),
        // The length of what was heard is not what its rounded usage says.
        told("json", r#"{"text":"Hi.","duration":8.2,"usage":{"type":"duration","seconds":9}}"#, 8_200),
        // A token count is none of a length; where nothing costs by the token, the length counts.
        told(
            "json",
            r#"{"text":"Hi.","usage":{"prompt_audio_seconds":4,"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}"#,
            4_000,
        ),
        // 15 bytes at 900 a minute.
        guessed("json", "application/json", r#"{"text":"fifteen letters"}"#.to_owned(), 1_000),
        guessed("json", "application/json", r#"{"text":"fifteen letters","duration":0.0}"#.to_owned(), 1_000),
        // Tokens are told, and no length.
        guessed(
            "json",
            "application/json",
            r#"{"text":"fifteen letters","usage":{"input_tokens":9,"output_tokens":4,"total_tokens":13}}"#.to_owned(),
            1_000,
        ),
        guessed("srt", "text/plain", srt.to_owned(), 2_503),
        guessed("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n00:00.000 --> 00:03.000\nHi.\n".to_owned(), 3_000),
        guessed("text", "text/plain", "fifteen letters".to_owned(), 1_000),
        guessed("text", "text/plain", "word ".repeat(1_000), 50_527),
        guessed("text", "text/plain", "\n".to_owned(), 157),
    ];
    for (format, answer, ms, is_told) in cases {
        let text = String::from_utf8_lossy(&answer.body()).into_owned();
        let provider = Provider::always(answer).await;
        let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&row("m", "audio_hour = 0.36"));
        let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
        let answer = gateway.send(&transcription(format).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let record = gateway.record_of(&answer).await;
        let source = if is_told { "reported" } else { "estimated" };
        assert_eq!(
            (number(&record, "cost_nanos"), &record["usage_source"]),
            (ms as i64 * 100, &json!(source)),
            "{text}: {record}"
        );
        assert_record(&record, json!({"held_nanos": 5_052_700, "price_missing": false, "disbelieved": false}));
        assert_eq!(extras(&record), [("audio_ms".to_owned(), ms)], "{text}");
        gateway.finish(&[&key]).await;
    }
}

/// Mistral's Voxtral bills minutes beside tokens; who tells no length, or has no fee for it, bills tokens alone.
#[tokio::test]
async fn audio_in_a_chat_is_billed_by_the_length_that_its_answer_tells() {
    let seconds = [json!(60), json!(null), json!(60), json!(60)];
    let provider = Provider::start(move |before, _| {
        let usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110,
            "prompt_audio_seconds": seconds[before]});
        let message = json!({"role": "assistant", "content": "hi"});
        Answer::json(
            200,
            &json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}),
        )
    })
    .await;
    let with_tokens =
        |name: &str, fees: &str| row(name, fees).replace("input = 0\noutput = 0", "input = 1\noutput = 2");
    let prices = with_tokens("m", "audio_hour = 0.24") + &with_tokens("plain", "other = 1");
    let setup = Setup::new([Wire::Chat.upstream("u", &provider).models(r#"["m", "plain"]"#)]).prices(&prices);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "9"])]).await;
    // Half a megabyte: a minute at 64 kbit/s, and at most a quarter of an hour.
    let sound = json!({"type": "input_audio", "input_audio": {"data": "A".repeat(640_000), "format": "mp3"}});
    for (model, content, cost, done) in [
        ("m", json!([sound]), 120_000 + 4_000_000, vec![("audio_ms".to_owned(), 60_000)]),
        ("m", json!([sound]), 120_000, vec![]),
        ("plain", json!([sound]), 120_000, vec![]),
        // There was nothing to be heard.
        ("m", json!("hello ".repeat(200)), 120_000, vec![]),
    ] {
        let body = json!({"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": &content}]});
        let answer = gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let record = gateway.record_of(&answer).await;
        assert_record(
            &record,
            json!({"cost_nanos": cost, "usage_source": "reported", "price_missing": false, "overshoot": false}),
        );
        assert_eq!(extras(&record), done, "{model}");
        // 480,000 bytes at 4.75 kbit/s cost 53.9 million, beside 81.2 million for as many tokens as they can be.
        let is_held = number(&record, "held_nanos") > 130_000_000;
        assert_eq!(is_held, model == "m" && content.is_array(), "{record}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_absurd_length_is_not_believed() {
    let absurd = ["-1", "1e9", "1000001", "true", "\"x\"", "[8]"].map(|seconds| {
        Answer::new(200, "application/json", format!("{{\"text\":\"fifteen letters\",\"duration\":{seconds}}}"))
    });
    let many = images(129);
    let count = absurd.len();
    let provider = Provider::sequence(absurd.into_iter().chain([many]).collect()).await;
    let prices = row("m", "audio_hour = 0.36") + &row("i", "image = 0.04");
    let setup = Setup::new([Wire::Chat.upstream("u", &provider).models(r#"["m", "i"]"#)]).prices(&prices);
    let (gateway, key) = serving(&setup).await;
    let estimated = |cost: i64| json!({"cost_nanos": cost, "usage_source": "estimated", "disbelieved": true});
    for _ in 0..count {
        let answer = gateway.send(&transcription("json").key(&key.key)).await;
        assert_record(&gateway.record_of(&answer).await, estimated(100_000));
    }
    let answer = gateway.send(&image_request(json!({"model": "i", "n": 2})).key(&key.key)).await;
    assert_record(&gateway.record_of(&answer).await, estimated(80_000_000));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn speech_is_billed_by_the_characters_of_the_text() {
    let provider = Provider::start(|before, _| match before {
        0 => Answer::new(200, "audio/mpeg", "ID3 and sound"),
        _ => Answer::json(500, &json!({"error": {"message": "no"}})),
    })
    .await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&row("m", "character = 0.000015"));
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "0.000105"])]).await;
    let speech = |text: &str| {
        Request::post("/v1/audio/speech", &json!({"model": "m", "voice": "alloy", "input": text})).key(&key.key)
    };
    // Eight characters, and seven: that of an emoji is one.
    assert_eq!(gateway.send(&speech("Gr\u{fc}\u{df}e, X")).await.status, 402);
    let answer = gateway.send(&speech("Gr\u{fc}\u{df}e \u{1f44b}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let record = gateway.record_of(&answer).await;
    assert_record(
        &record,
        json!({"cost_nanos": 105_000, "held_nanos": 105_000, "usage_source": "estimated", "price_missing": false}),
    );
    assert_eq!(extras(&record), [("character".to_owned(), 7)]);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_quota_with_room_for_one_image_gives_one() {
    let provider = Provider::always(images(1)).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&row("m", "image = 0.04"));
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "0.079999999"])]).await;
    let requests = (0..20).map(|_| image_request(json!({})).key(&key.key)).collect();
    let answers = send_all(&gateway, requests, 20).await;
    let given = answers.iter().filter(|got| got.status == 200).count();
    let refused = answers.iter().filter(|got| got.status == 402).count();
    assert_eq!((given, refused), (1, 19));
    gateway.wait_records(1).await;
    assert_eq!(gateway.key_row("k")["spent_nanos"], 40_000_000);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn after_a_failover_the_prices_are_those_of_who_answered_and_the_dearest_was_held() {
    let failing = Provider::always(Answer::json(500, &json!({"error": {"message": "no"}}))).await;
    let answering = Provider::always(images(2)).await;
    let of = |provider: &str, fee: &str| {
        format!(
            "[[model]]\nname = \"m\"\nprovider = \"{provider}\"\ninput = 0\noutput = 0\nfees = {{ image = {fee} }}\n"
        )
    };
    let setup = Setup::new([
        Upstream::new("first", "openai", failing.url("/v1")),
        Upstream::new("second", "groq", answering.url("/v1")).with("priority = 1"),
    ])
    .prices(&(of("openai", "0.05") + &of("groq", "0.04")));
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
    let answer = gateway.send(&image_request(json!({"n": 2})).key(&key.key)).await;
    let record = gateway.record_of(&answer).await;
    assert_record(
        &record,
        json!({"upstream": "second", "attempts": 2, "held_nanos": 100_000_000, "cost_nanos": 80_000_000}),
    );
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn the_cheapest_has_the_cheapest_image_and_a_limit_of_spend_holds_the_worst_case() {
    let provider = Provider::always(images(1)).await;
    let upstream = |name: &str| {
        let models = format!(r#"[{{ name = "m", upstream_model = "{name}" }}]"#);
        Wire::Chat.upstream(name, &provider).models(&models)
    };
    // The dearer one has the cheaper particular image.
    let prices = row("dear", "image = 0.05, image_hd = 0.06") + &row("cheap", "image = 0.04, image_hd = 0.07");
    let setup = Setup::new([upstream("dear"), upstream("cheap")])
        .prices(&prices)
        .set("routing.strategy", "\"cheapest\"")
        .set("plugins.rate-limit.rules", "[{ per = \"key\", limit = \"spend_usd\", max = \"0.13\" }]");
    let (gateway, key) = serving(&setup).await;
    // 0.07 USD is the most that one can cost at either; 0.04 is spent.
    for (asked, status) in [(json!({}), 200), (json!({"n": 2}), 429), (json!({}), 200), (json!({}), 429)] {
        let answer = gateway.send(&image_request(asked).key(&key.key)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(status != 200 || answer.field("x-tollgate-upstream") == Some("cheap"));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn answers_that_failed_made_nothing() {
    let refusal = json!({"error": {"message": "Your request was rejected", "type": "invalid_request_error"}});
    let answers = [
        Answer::json(400, &refusal),
        Answer::json(200, &refusal),
        Answer::stream([data(&json!({"type": "error", "error": {"message": "no"}}))]),
        Answer::json(200, &json!({"created": 1, "data": []})),
        Answer::json(200, &json!({"code": 1113, "msg": "Insufficient balance", "success": false})),
    ];
    for answer in answers {
        let provider = Provider::always(answer).await;
        let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&row("m", "image = 0.04"));
        let (gateway, key) = serving(&setup).await;
        let answer = gateway.send(&image_request(json!({"n": 3})).key(&key.key)).await;
        let record = gateway.record_of(&answer).await;
        assert_record(&record, json!({"cost_nanos": 0, "price_missing": false}));
        assert_eq!(extras(&record), []);
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn what_has_no_fee_is_flagged_unless_tokens_or_the_request_are_billed() {
    let usage = json!({"input_tokens": 10, "output_tokens": 100, "total_tokens": 110});
    let counted = json!({"created": 1, "data": [{"b64_json": "QUJD"}], "usage": usage});
    let prices = "[[model]]\nname = \"free\"\ninput = 0\noutput = 0\n\
                  [[model]]\nname = \"tokens\"\ninput = 1\noutput = 1\n\
                  [[model]]\nname = \"request\"\ninput = 0\noutput = 0\nper_request = 0.04\n";
    // Whether it counts tokens.
    const COUNTED: [bool; 6] = [false, true, true, false, true, false];
    let provider = Provider::start(move |before, _| match COUNTED[before] {
        true => Answer::json(200, &counted),
        false => images(1),
    })
    .await;
    let upstream = Wire::Chat.upstream("u", &provider).models(r#"["free", "tokens", "request"]"#);
    let (gateway, key) = serving(&Setup::new([upstream]).prices(prices)).await;
    for (model, cost, missing, done) in [
        ("free", 0, true, 1),
        ("free", 0, false, 0),
        ("tokens", 110_000, false, 0),
        ("request", 40_000_000, false, 0),
        ("request", 40_000_000, false, 0),
    ] {
        let answer = gateway.send(&image_request(json!({"model": model})).key(&key.key)).await;
        let record = gateway.record_of(&answer).await;
        assert_record(&record, json!({"cost_nanos": cost, "price_missing": missing}));
        assert_eq!(extras(&record), vec![("image".to_owned(), 1); done], "{record}");
    }
    // Its prompt is estimated; the image is not.
    let answer = gateway.send(&image_request(json!({"model": "tokens"})).key(&key.key)).await;
    let record = gateway.record_of(&answer).await;
    assert_record(&record, json!({"price_missing": true, "usage_source": "estimated"}));
    assert!(number(&record, "cost_nanos") > 0, "{record}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn speech_that_a_kill_cut_off_is_billed() {
    let piece = || data(&json!({"type": "speech.audio.delta", "audio": "QUJD"}));
    let done = data(&json!({"type": "speech.audio.done"}));
    let (answer, steps) = stepped(Answer::stream([piece(), piece(), done]));
    let provider = Provider::always(answer).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&row("m", "character = 0.000015"));
    let (mut gateway, key) = serving(&setup).await;
    steps.go(1);
    let body = json!({"model": "m", "voice": "alloy", "input": "seven c", "stream_format": "sse"});
    let mut exchange = gateway.open(&Request::post("/v1/audio/speech", &body).key(&key.key)).await;
    exchange.until(b"delta").await;
    gateway.kill().await;
    gateway.serve().await;
    let record = gateway.wait_record().await;
    assert_record(&record, json!({"outcome": "interrupted", "cost_nanos": 105_000, "usage_source": "estimated"}));
    assert_eq!(extras(&record), [("character".to_owned(), 7)]);
    gateway.finish(&[&key]).await;
}
