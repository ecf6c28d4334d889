//! What an operator sees before the first request: the start's own words, `health`, and `upstream test`.

use crate::calls::{Wire, serving};
use crate::support::answers::{chat_body, message_body};
use crate::support::console::Visitor;
use crate::support::gateway::{Gateway, PROVIDER_KEY, Setup, Upstream, free_address};
use crate::support::provider::Provider;
use crate::support::script::{Answer, Break};
use crate::support::until;
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn the_start_says_what_it_serves_and_what_is_missing() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider).models(r#"["m", "dear"]"#)]);
    let mut gateway = Gateway::prepare(&setup);
    gateway.serve().await;
    let text = until("the notes", || Some(gateway.said()).filter(|said| said.contains("no keys yet"))).await;
    for words in [
        &*format!("listens on http://{}", gateway.address),
        &format!("http://{}/metrics", gateway.metrics_address),
        "Upstreams: 1: u\n",
        "Models: 2: dear, m\n",
        "without a price (keys with a quota are refused, others pass unbilled): dear\n",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("no price file") && !text.contains("without a key"), "{text}");
    gateway.finish(&[]).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    assert!(!gateway.said().contains("Note:"), "nothing is missing: {}", gateway.said());
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_is_shown_once_is_on_standard_error_where_standard_output_takes_nothing() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let mut gateway = Gateway::prepare(&Setup::new([Wire::Chat.upstream("u", &provider)]));
    gateway.first = Some("exec >/dev/full");
    gateway.serve().await;
    let text = until("the notes", || Some(gateway.said()).filter(|said| said.contains("no keys yet"))).await;
    assert!(text.contains("Standard output cannot be written"), "{text}");
    // With the password that is shown there somebody can sign in.
    Visitor::admin(&gateway).await;
    gateway.finish(&[]).await;
}

#[tokio::test]
async fn health_asks_the_running_gateway() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let mut gateway = Gateway::prepare(&setup);
    let stopped = gateway.run(&["health"]);
    assert_eq!(stopped.status.code(), Some(1), "{}", said(&stopped));
    assert!(said(&stopped).contains("does not answer"), "{}", said(&stopped));
    gateway.serve().await;
    for arguments in [&["health"][..], &["health", "--ready"]] {
        let output = gateway.run(arguments);
        assert!(output.status.success() && said(&output).contains(r#""journal":"ok""#), "{}", said(&output));
    }
    gateway.finish(&[]).await;
    let mut gateway = Gateway::prepare(&Setup::new([]));
    gateway.serve().await;
    assert!(gateway.run(&["health"]).status.success());
    let unready = gateway.run(&["health", "--ready"]);
    assert_eq!(unready.status.code(), Some(1));
    assert!(said(&unready).contains(r#""upstreams":"unavailable""#), "{}", said(&unready));
    gateway.finish(&[]).await;
}

// The provider answers while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn upstream_test_makes_a_real_call_to_each_and_says_what_happened() {
    let well = Provider::always(Answer::json(200, &chat_body("OK", 9, 1))).await;
    let refusing = Provider::always(Answer::json(
        401,
        &json!({"type": "error", "error": {"type": "x", "message": format!("bad key {PROVIDER_KEY}")}}),
    ))
    .await;
    let gemini = Provider::always(Answer::json(200, &json!({"candidates": [{"finishReason": "STOP"}]}))).await;
    let nobody = free_address();
    let setup = Setup::new([
        Wire::Chat.upstream("well", &well).models(r#"[{ name = "m", upstream_model = "m-1" }, "other"]"#),
        Wire::Messages.upstream("refusing", &refusing),
        Wire::GeminiEvents.upstream("third", &gemini),
        Wire::Chat.upstream_at("nobody", nobody),
    ]);
    let gateway = Gateway::prepare(&setup);
    let output = gateway.run(&["upstream", "test"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for words in ["well  m  ok (200)", "refusing  m  answered 401: bad key ****", "third  m  ok (200)", "2 of 4"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains("nobody  m  no answer: Connect") && !text.contains("provider-secret"), "{text}");
    let call = well.only();
    assert_eq!((call.method.as_str(), call.target.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(call.field("authorization"), Some(&*format!("Bearer {PROVIDER_KEY}")));
    assert_eq!(call.json()["model"], "m-1", "as the upstream calls it");
    assert_eq!(refusing.only().field("anthropic-version"), Some("2023-06-01"));
    assert_eq!(gemini.only().target, "/v1beta/models/m:generateContent");
    let one = gateway.run_json(&["upstream", "test", "well", "--model", "other", "--json"]).remove(0);
    assert_eq!(
        (&one["upstream"], &one["model"], &one["ok"], &one["status"]),
        (&json!("well"), &json!("other"), &json!(true), &json!(200))
    );
    for (arguments, words) in [
        (&["upstream", "test", "nosuch"][..], "no upstream `nosuch`"),
        (&["upstream", "test", "--model", "nosuch"], "the model `nosuch`"),
    ] {
        let output = gateway.run(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    assert!(!gateway.path("data").exists(), "no store, no journal, no record");
}

// The providers answer while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn upstream_test_asks_each_model_what_it_can_answer_in_its_vendors_words() {
    let provider = Provider::start(|_, request| match request.target.as_str() {
        "/v1/embeddings" => {
            Answer::json(200, &json!({"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 2}}))
        }
        "/v1beta/models/gemini-embedding-001:batchEmbedContents" => {
            Answer::json(200, &json!({"embeddings": [{"values": [1]}]}))
        }
        _ => Answer::json(200, &chat_body("OK", 9, 1)),
    })
    .await;
    let mixed = r#"["text-embedding-3-small", "gpt-5"]"#;
    let gateway = Gateway::prepare(&Setup::new([
        Upstream::new("newer", "openai", provider.url("/v1")).models(mixed),
        Upstream::new("older", "deepseek", provider.url("/v1")),
        Upstream::new("vectors", "openai", provider.url("/v1"))
            .models(r#"["e", { name = "f", upstream_model = "BAAI/bge-m3" }]"#),
        Wire::GeminiEvents.upstream("google", &provider).models(r#"["gemini-embedding-001"]"#),
    ]));
    let tested = gateway.run_json(&["upstream", "test", "--json"]);
    let models: Vec<_> =
        tested.iter().map(|one| (one["model"].as_str().unwrap_or_default(), one["ok"] == true)).collect();
    assert_eq!(models, [("gpt-5", true), ("m", true), ("e", true), ("gemini-embedding-001", true)], "{tested:?}");
    let vector = gateway.run_json(&["upstream", "test", "vectors", "--model", "f", "--json"]).remove(0);
    assert_eq!((&vector["model"], &vector["ok"]), (&json!("f"), &json!(true)), "{vector}");
    let received = provider.received();
    let limits = |at: usize| ["max_tokens", "max_completion_tokens"].map(|name| received[at].json()[name].is_u64());
    assert_eq!((limits(0), limits(1)), ([false, true], [true, false]), "as its vendor calls it");
    let embedded = received.last().expect("a call");
    assert_eq!((embedded.target.as_str(), &embedded.json()["model"]), ("/v1/embeddings", &json!("BAAI/bge-m3")));
    assert_eq!(received.len(), 5, "nobody was asked twice");
}

// The provider answers while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn upstream_test_asks_models_that_make_no_words_for_what_they_make() {
    let provider = Provider::start(|_, request| match request.target.as_str() {
        "/v1/rerank" => Answer::json(200, &json!({"results": [{"index": 0, "relevance_score": 0.9}]})),
        "/v1/moderations" => Answer::json(200, &json!({"results": [{"flagged": false}]})),
        "/v1/audio/transcriptions" => Answer::json(200, &json!({"text": ""})),
        "/v1/models" => Answer::json(200, &json!({"object": "list", "data": [{"id": "gpt-image-1"}]})),
        _ => Answer::json(404, &json!({"error": {"message": "This is not a chat model"}})),
    })
    .await;
    let refusing = Provider::start(|_, request| match request.target.as_str() {
        "/v1/models" => Answer::json(200, &json!({"error": {"message": "no such key"}})),
        _ => Answer::json(200, &json!({"results": []})),
    })
    .await;
    let upstream = |name: &str, provider: &Provider, models: &str| {
        Upstream::new(name, "openai", provider.url("/v1")).models(models)
    };
    let setup = Setup::new([
        upstream("sorts", &provider, r#"["jina-reranker-v3"]"#),
        upstream("minds", &provider, r#"["gpt-image-1", "omni-moderation-latest"]"#),
        upstream("hears", &provider, r#"["whisper-1"]"#),
        upstream("draws", &provider, r#"["gpt-image-1"]"#),
        upstream("speaks", &provider, r#"["tts-1"]"#),
        upstream("has-no-key", &refusing, r#"["dall-e-3"]"#),
        upstream("has-nothing", &refusing, r#"["rerank-v3.5"]"#),
    ]);
    let gateway = Gateway::prepare(&setup);
    let output = gateway.run(&["upstream", "test", "--json"]);
    assert_eq!(output.status.code(), Some(1), "two of them failed");
    let lines = String::from_utf8_lossy(&output.stdout);
    let tested: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |at: usize| (&tested[at]["model"], &tested[at]["endpoint"], &tested[at]["ok"]);
    for (at, (model, endpoint, ok)) in [
        ("jina-reranker-v3", "rerank", true),
        ("omni-moderation-latest", "moderations", true),
        ("whisper-1", "audio_transcriptions", true),
        ("gpt-image-1", "models", true),
        ("tts-1", "models", true),
        ("dall-e-3", "models", false),
        ("rerank-v3.5", "rerank", false),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(of(at), (&json!(model), &json!(endpoint), &json!(ok)), "{tested:?}");
    }
    let received = provider.received();
    let heard = received.iter().find(|call| call.target.contains("audio")).expect("a call");
    let form = String::from_utf8_lossy(&heard.body);
    assert!(heard.field("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data; boundary=")));
    assert!(form.contains("name=\"model\"\r\n\r\nwhisper-1\r\n") && form.contains("RIFF"), "{form}");
    let listed = received.iter().find(|call| call.target == "/v1/models").expect("a call");
    assert_eq!((listed.method.as_str(), listed.body.len()), ("GET", 0));
    assert_eq!(listed.field("authorization"), Some(&*format!("Bearer {PROVIDER_KEY}")));
    let text = said(&gateway.run(&["upstream", "test", "draws"]));
    assert!(text.contains("draws  gpt-image-1  ok (200, its list of models)"), "{text}");
}

// The provider answers while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn upstream_test_takes_no_page_and_no_error_for_an_answer_whatever_its_status() {
    let body = serde_json::to_vec(&chat_body("OK", 9, 1)).expect("JSON");
    let answers = [
        ("page", Answer::new(200, "text/html; charset=utf-8", "<html>Welcome to the proxy</html>"), "<html>Welcome"),
        ("error", Answer::json(200, &json!({"error": {"message": "no such deployment"}})), "no such deployment"),
        ("half", Answer::new(200, "application/json", body[..body.len() / 2].to_vec()), "no answer of this API"),
        ("mislabelled", Answer::new(200, "text/html", body.clone()), "no answer of this API"),
        ("empty", Answer::new(200, "application/json", ""), "no answer of this API"),
    ];
    let mut providers = Vec::new();
    let mut upstreams = Vec::new();
    for (name, answer, _) in &answers {
        providers.push(Provider::always(answer.clone()).await);
        upstreams.extend(providers.last().map(|provider| Wire::Chat.upstream(name, provider)));
    }
    let gateway = Gateway::prepare(&Setup::new(upstreams));
    let output = gateway.run(&["upstream", "test"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for (name, _, words) in &answers {
        let line = text.lines().find(|line| line.starts_with(name)).expect("a line for each");
        assert!(line.contains("answered 200: ") && line.contains(words), "{line}");
    }
}

// The provider is silent while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn upstream_test_says_how_long_it_has_waited() {
    let silent = Provider::always(Answer::nothing(Break::Stall)).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &silent)]).set("routing.response_timeout_ms", "300");
    let output = Gateway::prepare(&setup).run(&["upstream", "test"]);
    assert!(said(&output).contains("no answer: no whole answer within 300 ms"), "{}", said(&output));
}

// The provider answers while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn upstream_test_knows_the_other_name_of_the_limit() {
    let provider = Provider::start(|_, request| {
        if String::from_utf8_lossy(&request.body).contains("max_completion_tokens") {
            return Answer::json(200, &chat_body("OK", 9, 1));
        }
        Answer::json(400, &json!({"error": {"message": "Use 'max_completion_tokens' instead."}}))
    })
    .await;
    let anthropic = Provider::always(Answer::json(200, &message_body("OK", 9, 1))).await;
    // A vendor of whose row it is not known.
    let compatible = Upstream::new("u", "deepseek", provider.url("/v1"));
    let gateway = Gateway::prepare(&Setup::new([compatible, Wire::Messages.upstream("a", &anthropic)]));
    let output = gateway.run(&["upstream", "test"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(provider.received().len(), 2);
}

#[test]
fn an_empty_variable_names_no_config_file() {
    let gateway = Gateway::prepare(&Setup::new([]));
    let run = |arguments: &[&str], file: &str| {
        let mut command = Command::new(&gateway.program);
        command.args(arguments).env("TOLLGATE_CONFIG", file).current_dir(gateway.path(""));
        command.output().expect("the built binary runs")
    };
    let listed = format!("listen     {}", gateway.address);
    for file in ["", "tollgate.toml"] {
        let output = run(&["check"], file);
        assert!(output.status.success() && said(&output).contains(&listed), "{file:?}: {}", said(&output));
    }
    for (arguments, file) in [(&["check", "-c", ""][..], ""), (&["check"], "none.toml")] {
        assert_eq!(run(arguments, file).status.code(), Some(2), "{arguments:?} {file:?}");
    }
}

/// Another user than the one who runs the tests, if that is one who can be others.
const OTHER_USER: u32 = 65_534;

#[test]
fn check_names_files_that_its_user_cannot_open() {
    let gateway = Gateway::prepare(&Setup::new([Upstream::new("u", "openai", "http://127.0.0.1:9/v1")]));
    gateway.run_json(&["key", "create", "k", "--json"]);
    let segment = "data/journal/00000000-0000-7000-8000-000000000001/0000000000000001.seg";
    std::fs::create_dir_all(gateway.path(segment).parent().expect("a folder")).expect("a writable folder");
    std::fs::write(gateway.path(segment), "").expect("a writable folder");
    let is_root = rustix::process::geteuid().is_root();
    let shell = |script: &str| {
        let done = Command::new("sh").args(["-ec", script]).current_dir(gateway.path("")).status();
        assert!(done.expect("a shell").success(), "{script}");
    };
    if is_root {
        // Where the other one can run it.
        let copied = Command::new("cp").arg(&gateway.program).arg(gateway.path("tollgate")).status();
        assert!(copied.expect("cp runs").success());
    }
    let program = if is_root { gateway.path("tollgate") } else { gateway.program.clone() };
    let check = || {
        let mut command = Command::new(&program);
        command.args(["check", "-c"]).arg(gateway.path("tollgate.toml")).current_dir(gateway.path(""));
        if is_root {
            command.uid(OTHER_USER).gid(OTHER_USER);
        }
        let done = command.output().expect("the built binary runs");
        (done.status.code(), said(&done))
    };
    let to_other = format!("chown -R {OTHER_USER} .");
    for (key, file) in [("store.url", "data/tollgate.db"), ("ledger.journal_dir", segment)] {
        shell(if is_root { &to_other } else { "true" });
        let (code, text) = check();
        assert_eq!(code, Some(0), "{text}");
        shell(&if is_root { format!("chown 0 {file}; chmod 600 {file}") } else { format!("chmod 0 {file}") });
        let (code, text) = check();
        assert_eq!(code, Some(2), "{text}");
        let wanted = format!("{key}: this user cannot read and write {}", gateway.path(file).display());
        assert!(text.contains(&wanted) && text.contains("which belongs to uid "), "{text}");
        shell(&format!("chmod 600 {file}"));
    }
}
