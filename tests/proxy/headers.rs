//! What of a request's head goes upstream, and what of an answer's head comes back: credentials never cross, the provider
//! sees our own host and path, and every answer can be found in the ledger.

use crate::calls::{Wire, one, plain_chat, provider_of_all, serving};
use crate::support::client::{Body, Client, Request};
use crate::support::gateway::{PROVIDER_KEY, Setup, Upstream};
use crate::support::provider::{Provider, Received};
use crate::support::script::Answer;
use crate::support::wire::Framing;
use crate::support::{h2c, until};
use bytes::Bytes;
use serde_json::json;

/// Stands in every place of a request that could carry a credential.
const CANARY: &str = "canary-0123456789";

fn assert_no_credential(received: &Received, key: &str) {
    let everything = format!("{} {:?} {}", received.target, received.fields, String::from_utf8_lossy(&received.body));
    assert!(!everything.contains("canary") && !everything.contains(&key[..20]), "{everything}");
}

#[tokio::test]
async fn credentials_of_the_client_never_go_upstream_and_ours_goes_in_the_vendors_own_field() {
    let provider = provider_of_all().await;
    let setup = Setup::new([
        Wire::Chat.upstream("o", &provider).models(r#"["o"]"#),
        Wire::Messages.upstream("a", &provider).models(r#"["a"]"#),
        Wire::GeminiEvents.upstream("g", &provider).models(r#"["g"]"#),
        Upstream::new("z", "azure-openai", provider.url("/openai/v1")).models(r#"["z"]"#),
        Upstream::new("local", "vllm", provider.url("/v1")).models(r#"["l"]"#).with("# no api_key"),
    ])
    .set("pricing.unknown_model", "\"allow\"");
    let (gateway, key) = serving(&setup).await;
    let bearer = format!("Bearer {PROVIDER_KEY}");
    let ways = [
        (Wire::Chat, "o", Some(("authorization", bearer.as_str()))),
        (Wire::Messages, "a", Some(("x-api-key", PROVIDER_KEY))),
        (Wire::GeminiEvents, "g", Some(("x-goog-api-key", PROVIDER_KEY))),
        (Wire::Chat, "z", Some(("api-key", PROVIDER_KEY))),
        (Wire::Chat, "l", None),
    ];
    for (wire, model, credential) in ways {
        let mut request = wire.request_for(model, false).key(&key.key);
        request.target += &format!("?key={CANARY}&KEY={CANARY}&x=1");
        for name in ["x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization", "x-tollgate-anything"] {
            request = request.field(name, CANARY);
        }
        let answer = gateway.send(&request).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let received = provider.received().pop().expect("a request");
        assert_no_credential(&received, &key.key);
        assert!(received.target.ends_with("?x=1"), "{}", received.target);
        let secrets: Vec<_> = received.fields.iter().filter(|(_, value)| value.contains(PROVIDER_KEY)).collect();
        match credential {
            Some((name, value)) => assert_eq!(secrets, [&(name.to_owned(), value.to_owned())], "{model}"),
            None => assert!(secrets.is_empty(), "{secrets:?}"),
        }
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_credential_is_taken_from_the_first_place_that_has_one() {
    let (provider, gateway, key) = one(Wire::Chat, |_, _| Wire::Chat.whole("x")).await;
    let bearer = format!("Bearer {}", key.key);
    let places: [(&str, &str); 5] = [
        ("authorization", &bearer),
        ("authorization", &bearer.replace("Bearer", "bearer")),
        ("x-api-key", &key.key),
        ("x-goog-api-key", &key.key),
        ("api-key", &key.key),
    ];
    let mut expected = 0;
    for (name, value) in places {
        let answer = gateway.send(&plain_chat(false).field(name, value)).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        expected += 1;
    }
    let mut request = plain_chat(false);
    request.target += &format!("?key={}", key.key);
    assert_eq!(gateway.send(&request).await.status, 200);
    assert_eq!(provider.received().len(), expected + 1);
    // In the order of the list, each beats all that follow: a right one behind a wrong one does not count.
    let order = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
    for (index, first) in order.iter().enumerate() {
        let of = |name: &str, key: &str| if name == "authorization" { format!("Bearer {key}") } else { key.to_owned() };
        let mut wrong_first = plain_chat(false).field(first, &of(first, CANARY));
        let mut right_first = plain_chat(false).field(first, &of(first, &key.key));
        for later in &order[index + 1..] {
            wrong_first = wrong_first.field(later, &of(later, &key.key));
            right_first = right_first.field(later, &of(later, CANARY));
        }
        wrong_first.target += &format!("?key={}", key.key);
        right_first.target += &format!("?key={CANARY}");
        let refused = gateway.send(&wrong_first).await;
        assert_eq!((refused.status, refused.error_code().as_str()), (401, "AUTH_INVALID_TOKEN"), "{first}");
        assert_eq!(gateway.send(&right_first).await.status, 200, "{first}");
    }
    for received in provider.received() {
        assert_no_credential(&received, &key.key);
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn host_path_length_and_encoding_are_our_own_whatever_the_client_says() {
    let (provider, gateway, key) = one(Wire::Chat, |_, _| Wire::Chat.whole("x")).await;
    let body = Wire::Chat.body("m", false).to_string();
    let mut strange = Request::new("POST", "http://evil.example:81/v1/chat/completions");
    strange.fields = vec![("host".to_owned(), "evil.example:81".to_owned())];
    let strange = strange
        .field("content-type", "application/json")
        .field("accept-encoding", "gzip, br, zstd")
        .field("x-forwarded-host", "evil.example")
        .field("x-forwarded-for", "6.6.6.6")
        .field("forwarded", "for=6.6.6.6;host=evil.example")
        .field("via", "1.1 evil")
        .field("te", "trailers")
        .field("connection", "keep-alive, Upgrade, HTTP2-Settings")
        .field("keep-alive", "timeout=5")
        .field("upgrade", "h2c")
        .field("http2-settings", "AAMAAABkAAQAAP__")
        .field("upgrade-insecure-requests", "1")
        .field("anthropic-beta", "a,b")
        .field("openai-beta", "assistants=v2")
        .field("x-stainless-lang", "python")
        .field("x-custom-thing", "kept as it is")
        .field("user-agent", "tester/1")
        .key(&key.key);
    let mut requests = vec![strange.clone().body(Body::Length(body.clone().into()))];
    requests.push(
        Request { target: "/v1/chat/completions".to_owned(), ..strange.clone() }
            .body(Body::Chunked(body.clone().into(), 9)),
    );
    let expect =
        Request { target: "/v1/chat/completions".to_owned(), ..strange }.body(Body::Expect(body.clone().into()));
    requests.push(expect);
    for request in requests {
        let answer = gateway.send(&request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = provider.received().pop().expect("a request");
        assert_eq!(received.target, "/v1/chat/completions");
        assert_eq!(received.framing, Framing::Length(body.len()), "a length, whatever the client sent");
        assert_eq!(received.field("host"), Some(provider.address.to_string().as_str()));
        assert_eq!(received.field("accept-encoding"), Some("identity"));
        let gone = [
            "transfer-encoding",
            "x-forwarded-host",
            "x-forwarded-for",
            "forwarded",
            "via",
            "te",
            "keep-alive",
            "x-nominated",
            "expect",
        ];
        for name in gone {
            assert_eq!(received.field(name), None, "{name} in {:?}", received.fields);
        }
        let kept =
            ["anthropic-beta", "openai-beta", "x-stainless-lang", "x-custom-thing", "user-agent", "content-type"];
        for name in kept {
            assert_eq!(
                received.field(name),
                request.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
            );
        }
        let once = ["host", "content-length", "authorization", "accept-encoding"];
        for name in once {
            let count = received.fields.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).count();
            assert_eq!(count, 1, "{name} in {:?}", received.fields);
        }
    }
    // A target and a host that contradict each other: refused, or ours all the same.
    let mut torn = plain_chat(false).key(&key.key);
    torn.target = "http://evil.example/v1/chat/completions".to_owned();
    let answer = gateway.send(&torn).await;
    assert!([200, 400].contains(&answer.status), "{}", answer.text());
    assert!(provider.received().iter().all(|request| request.field("host") == Some(&provider.address.to_string())));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_a_proxy_in_front_says_of_who_calls_stays_here() {
    let (provider, gateway, key) = one(Wire::Chat, |_, _| Wire::Chat.whole("x")).await;
    // oauth2-proxy, Amazon's load balancer, Cloudflare Access; Google's IAP; Azure's Easy Auth; Fastly and others.
    let names = [
        "x-auth-request-access-token",
        "x-forwarded-access-token",
        "x-amzn-oidc-accesstoken",
        "cf-access-jwt-assertion",
        "x-goog-iap-jwt-assertion",
        "x-goog-authenticated-user-email",
        "x-goog-authenticated-user-id",
        "x-ms-token-aad-access-token",
        "x-ms-token-google-id-token",
        "x-ms-client-principal",
        "x-ms-client-principal-name",
        "true-client-ip",
        "fastly-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-forwarded-for",
    ];
    let request = names.iter().fold(plain_chat(false).key(&key.key), |request, name| request.field(name, CANARY));
    let answer = gateway.send(&request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_no_credential(&provider.only(), &key.key);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn no_field_makes_an_upstream_answer_later_where_nobody_counts() {
    let (provider, gateway, key) = one(Wire::Chat, |_, _| Wire::Chat.whole("x")).await;
    let request = plain_chat(false).key(&key.key).field("X-DashScope-Async", "enable").field("x-dashscope-own", "1");
    assert_eq!(gateway.send(&request).await.status, 200);
    let received = provider.only();
    assert_eq!((received.field("x-dashscope-async"), received.field("x-dashscope-own")), (None, Some("1")));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn fields_that_connection_names_end_here_but_none_of_ours_can_be_named_away() {
    let (provider, gateway, key) = one(Wire::Chat, |_, _| Wire::Chat.whole("x")).await;
    let naming = |names: &str| {
        let request = plain_chat(false).field("x-api-key", &key.key).field("anthropic-beta", "a");
        request.field("x-custom", "1").field("connection", &format!("keep-alive, {names}"))
    };
    let answer = gateway.send(&naming("anthropic-beta, X-Custom")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = provider.received().pop().expect("a request");
    assert_eq!((received.field("anthropic-beta"), received.field("x-custom")), (None, None));
    // A client that could do this would make the provider refuse our key, and close the upstream for everybody.
    for name in ["authorization", "Authorization, content-length", "content-length", "accept-encoding", "content-type"]
    {
        let before = provider.received().len();
        let answer = gateway.send(&naming(name)).await;
        assert!([200, 400].contains(&answer.status), "{name}: {}", answer.text());
        for received in &provider.received()[before..] {
            assert_eq!(received.field("authorization"), Some(format!("Bearer {PROVIDER_KEY}").as_str()), "{name}");
            assert_eq!(received.field("accept-encoding"), Some("identity"), "{name}");
            assert!(received.body_bytes > 0 && received.field("content-length").is_some(), "{name}");
        }
    }
    for name in ["host", "x-forwarded-for", "a b", "a,b,c,d,e,f,g,h,i,j,k,l"] {
        let before = provider.received().len();
        let refused = gateway.send(&naming(name)).await;
        assert_eq!((refused.status, refused.error_code().as_str()), (400, "INVALID_REQUEST"), "{name}");
        assert_eq!(provider.received().len(), before, "{name}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_absolute_target_chooses_no_upstream_over_http2_either() {
    let (provider, gateway, key) = one(Wire::Chat, |_, _| Wire::Chat.whole("x")).await;
    let request = plain_chat(false).key(&key.key).field("x-forwarded-host", "evil.example").field("te", "trailers");
    assert_eq!(h2c::send(gateway.address, &request).await.status, 200);
    let received = provider.only();
    assert_eq!(received.field("host"), Some(provider.address.to_string().as_str()));
    assert_eq!((received.target.as_str(), received.field("te")), ("/v1/chat/completions", None));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn configured_headers_and_the_vendors_defaults_are_sent() {
    let provider = Provider::always(Wire::Messages.whole("x")).await;
    let upstream = Wire::Messages
        .upstream("a", &provider)
        .with(r#"headers = { "X-DashScope-WorkSpace" = "w 1", "anthropic-beta" = "ours" }"#);
    let (gateway, key) = serving(&Setup::new([upstream])).await;
    let request = Wire::Messages.request(false).key(&key.key);
    gateway.send(&request.clone().field("anthropic-beta", "theirs")).await;
    gateway.send(&request.field("anthropic-version", "2024-01-01")).await;
    let received = provider.received();
    assert_eq!(received[0].field("anthropic-version"), Some("2023-06-01"), "the vendor's default");
    assert_eq!(received[1].field("anthropic-version"), Some("2024-01-01"), "the client's own");
    for request in &received {
        assert_eq!(request.field("x-dashscope-workspace"), Some("w 1"));
        let betas: Vec<_> = request.fields.iter().filter(|(name, _)| name == "anthropic-beta").collect();
        assert_eq!(betas.len(), 1, "{betas:?}");
        assert_eq!(betas[0].1, "ours", "sent as they are");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_answer_in_anthropics_dialect_has_a_request_id_where_its_sdks_look_for_it() {
    // Anthropic's own, passed on; a vendor's that has none; and another dialect's, translated.
    for (wire, theirs) in [(Wire::Messages, Some("req_theirs")), (Wire::Messages, None), (Wire::Chat, None)] {
        for status in [200, 400] {
            let answer = move || match status {
                200 => wire.whole("x"),
                _ => Answer::json(status, &json!({"error": {"type": "invalid_request_error", "message": "no"}})),
            };
            let answer = move || theirs.map_or_else(answer, |id| answer().field("request-id", id));
            let (_provider, gateway, key) = one(wire, move |_, _| answer()).await;
            let answer = gateway.send(&Wire::Messages.request(false).key(&key.key)).await;
            assert_eq!(answer.status, status, "{wire:?}: {}", answer.text());
            assert_eq!(answer.field("request-id"), theirs.or(answer.field("x-request-id")), "{wire:?} {status}");
            gateway.finish(&[&key]).await;
        }
    }
}

#[tokio::test]
async fn an_answer_names_its_record_its_upstream_and_its_attempts() {
    let answer = || {
        Wire::Chat
            .whole("x")
            .field("x-request-id", "req_provider")
            .field("x-ratelimit-remaining-tokens", "149984")
            .field("openai-processing-ms", "12")
            .field("openai-version", "2020-10-01")
            .field("openai-organization", "org-secret")
            .field("set-cookie", "__cf_bm=secret; path=/")
            .field("alt-svc", "h3=\":443\"")
            .field("strict-transport-security", "max-age=1")
            .field("connection", "x-hop")
            .field("x-hop", "1")
            // Of this connection, whether or not `connection` names them.
            .field("keep-alive", "timeout=5")
            .field("proxy-connection", "keep-alive")
            .field("proxy-authenticate", "Basic realm=\"upstream\"")
            .field("te", "trailers")
            .field("trailer", "x-later")
            .field("upgrade", "h2c")
    };
    let (_provider, gateway, key) = one(Wire::Chat, move |_, _| answer()).await;
    let client_id = "0193b1f0-0000-7000-8000-000000000000";
    let answer = gateway.send(&plain_chat(false).key(&key.key).field("x-request-id", client_id)).await;
    let id: uuid::Uuid = answer.field("x-request-id").expect("an id").parse().expect("a UUID");
    assert_eq!(id.get_version_num(), 7);
    assert_ne!(id.to_string(), client_id);
    assert_eq!(answer.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-request-id")).count(), 1);
    assert_eq!(gateway.record_of(&answer).await["request_id"], id.to_string());
    assert_eq!(answer.field("x-tollgate-upstream"), Some("u"));
    assert_eq!(answer.field("x-tollgate-attempts"), Some("1"));
    assert_eq!(answer.field("x-tollgate-upstream-request-id"), Some("req_provider"));
    for (name, value) in
        [("x-ratelimit-remaining-tokens", "149984"), ("openai-processing-ms", "12"), ("openai-version", "2020-10-01")]
    {
        assert_eq!(answer.field(name), Some(value));
    }
    for name in ["set-cookie", "openai-organization", "alt-svc", "strict-transport-security", "x-hop"] {
        assert_eq!(answer.field(name), None, "{name}");
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer", "upgrade"] {
        assert_eq!(answer.field(name), None, "{name}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_head_has_limits_and_one_beyond_them_is_told_so_in_its_dialect() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("plugins.access-log.output", "\"file\"")
        .set("plugins.access-log.path", "\"access.log\"");
    let (gateway, key) = serving(&setup).await;
    let with = |bytes: usize, fields: usize| {
        let request = plain_chat(false).key(&key.key).field("x-long", &"x".repeat(bytes));
        (0..fields).fold(request, |request, number| request.field(&format!("x-{number}"), "1"))
    };
    for (request, status, over_http2) in
        [(with(60_000, 0), 200, 200), (with(1, 90), 200, 200), (with(66_000, 0), 413, 431), (with(1, 101), 413, 413)]
    {
        let answers = [gateway.send(&request).await, h2c::send(gateway.address, &request).await];
        // Over HTTP/2 a head of that length ends in the library's own answer.
        assert_eq!(answers[1].status, over_http2);
        for answer in answers.into_iter().filter(|answer| answer.status != 431) {
            assert_eq!(answer.status, status, "{}", answer.text());
            let id = answer.field("x-request-id").expect("an id").to_owned();
            if status == 413 {
                assert_eq!(answer.error_code(), "REQUEST_TOO_LARGE");
                let line = until("its line", || {
                    gateway.read("access.log").lines().find(|line| line.contains(&id)).map(str::to_owned)
                })
                .await;
                assert!(line.contains("REQUEST_TOO_LARGE"), "{line}");
            }
        }
    }
    let mut messages = with(66_000, 0);
    messages.target = "/v1/messages".to_owned();
    assert_eq!(gateway.send(&messages).await.json()["type"], "error", "Anthropic's shape");
    assert_eq!(gateway.metric("tollgate_rejected_total", &["REQUEST_TOO_LARGE"]).await, 4.0);
    assert_eq!(provider.received().len(), 4);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn interim_answers_of_the_provider_stay_here() {
    let (_provider, gateway, key) = one(Wire::Chat, |before, _| {
        let hints = vec![("link".to_owned(), "</x>; rel=preload".to_owned())];
        let answer = Wire::Chat.answer(before == 1);
        answer.informational(100, Vec::new()).informational(103, hints)
    })
    .await;
    for stream in [false, true] {
        let answer = gateway.send(&Wire::Chat.request(stream).key(&key.key)).await;
        assert_eq!((answer.status, answer.informational.as_slice()), (200, [].as_slice()));
        assert_eq!(answer.body(), Wire::Chat.answer(stream).body());
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn models_are_listed_in_the_callers_shape() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([
        Wire::Chat.upstream("o", &provider).models(r#"["m", { name = "alias", upstream_model = "m" }, "org/m:free"]"#),
        Wire::Messages.upstream("a", &provider).models(r#"["claude", "m"]"#),
        Wire::GeminiEvents.upstream("g", &provider).models(r#"["flash"]"#).with(r#"groups = ["vip"]"#),
    ]);
    let keys = [("all", [].as_slice()), ("some", &["--models", "m,claude"]), ("vip", &["--group", "vip"])];
    let (gateway, [all, some, vip]) = crate::calls::serving_keys(&setup, keys).await;
    let gateway_ref = &gateway;
    let list = |request: Request| async move { gateway_ref.send(&request).await.json() };
    let ids = |list: &serde_json::Value, array: &str, id: &str| -> Vec<String> {
        list[array].as_array().expect("a list").iter().map(|model| model[id].as_str().unwrap().to_owned()).collect()
    };
    let openai = list(Request::get("/v1/models").key(&all.key)).await;
    assert_eq!(openai["object"], "list");
    assert_eq!(ids(&openai, "data", "id"), ["alias", "claude", "m", "org/m:free"]);
    assert!(
        openai["data"].as_array().unwrap().iter().all(|model| model["object"] == "model" && model["created"].is_u64())
    );
    let anthropic =
        list(Request::get("/v1/models").field("anthropic-version", "2023-06-01").field("x-api-key", &some.key)).await;
    assert_eq!(ids(&anthropic, "data", "id"), ["claude", "m"]);
    assert_eq!((anthropic["data"][0]["type"].as_str(), anthropic["has_more"].as_bool()), (Some("model"), Some(false)));
    let gemini = list(Request::get("/v1beta/models").field("x-goog-api-key", &vip.key)).await;
    assert_eq!(ids(&gemini, "models", "name"), ["models/flash"]);
    assert!(gemini["models"][0]["supportedGenerationMethods"].is_array());
    // One model, and one that this key cannot see.
    assert_eq!(list(Request::get("/v1/models/org/m:free").key(&all.key)).await["id"], "org/m:free");
    assert_eq!(list(Request::get("/v1/models/org%2Fm:free").key(&all.key)).await["id"], "org/m:free");
    let hidden = gateway.send(&Request::get("/v1/models/alias").key(&some.key)).await;
    assert_eq!((hidden.status, hidden.error_code().as_str()), (403, "FORBIDDEN"));
    assert_eq!(
        gateway.send(&Request::get("/v1beta/models/flash").field("x-goog-api-key", &vip.key)).await.json()["name"],
        "models/flash"
    );
    // HEAD is GET without the body, and leaves the connection in order.
    let client = Client::connect(gateway.address).await.expect("the gateway listens");
    let (head, client) = client.send_and_keep(&Request::new("HEAD", "/v1/models").key(&all.key)).await;
    assert_eq!((head.status, head.body().len()), (200, 0));
    let (full, _) = client.send_and_keep(&Request::get("/v1/models").key(&all.key)).await;
    assert_eq!(head.field("content-length"), full.field("content-length"));
    assert_eq!(full.json(), openai);
    // Without a key there is no list, and nothing of all this went upstream or into the ledger.
    assert_eq!(gateway.send(&Request::get("/v1/models")).await.error_code(), "AUTH_MISSING_TOKEN");
    assert!(provider.received().is_empty() && gateway.records().is_empty());
    gateway.finish(&[&all, &some, &vip]).await;
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order_or_not_at_all() {
    let (provider, gateway, key) = one(Wire::Chat, |_, _| Wire::Chat.stream(&["a"])).await;
    let body = plain_chat(true);
    let Body::Length(text) = &body.body else { unreachable!("a chat has a body") };
    let head = |smuggled: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{smuggled}content-length: {}\r\n\r\n",
            key.key,
            text.len()
        )
    };
    let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
    let two = [head("").as_bytes(), text, head("").as_bytes(), text].concat();
    client.write(&two).await.expect("the gateway reads");
    let first = client.open(&Request { body: Body::Nothing, ..Request::get("/v1/models") }).await.rest().await.0;
    assert!([0, 200].contains(&first.status), "{}", first.text());
    // Two lengths, or a length beside chunks: never two requests upstream for one.
    let before = provider.received().len();
    for smuggled in ["content-length: 3\r\n", "transfer-encoding: chunked\r\n", "transfer-encoding: xchunked\r\n"] {
        let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
        let bytes = [head(smuggled).as_bytes(), &Bytes::copy_from_slice(text)].concat();
        client.write(&bytes).await.expect("the gateway reads");
        let mut exchange = client.open(&Request::get("/v1/health")).await;
        exchange.half_close().await;
        let answer = exchange.rest().await.0;
        assert_ne!(answer.status, 200, "{smuggled:?}: {}", answer.text());
    }
    assert_eq!(provider.received().len(), before, "{:?}", provider.received().last());
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_answer_without_a_length_or_a_type_is_read_as_json() {
    let body = Wire::Chat.document("Hi").to_string();
    let untyped = Answer { fields: Vec::new(), ..Answer::new(200, "", body.clone()) };
    let (_provider, gateway, key) = one(Wire::Chat, move |_, _| untyped.clone()).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!((answer.status, answer.text()), (200, body));
    assert_eq!(gateway.wait_record().await["usage_source"], "reported");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_ties_a_request_to_others_goes_upstream_untouched() {
    let provider = provider_of_all().await;
    let setup = Setup::new([
        Wire::Chat.upstream("o", &provider).models(r#"["o"]"#),
        Wire::Messages.upstream("a", &provider).models(r#"["a"]"#),
    ])
    .set("pricing.unknown_model", "\"allow\"");
    let (gateway, key) = serving(&setup).await;
    let fields = [
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("tracestate", "vendor=a:b,other=1"),
    ];
    for (wire, model) in [(Wire::Chat, "o"), (Wire::Messages, "a")] {
        let request = wire.request_for(model, false).key(&key.key);
        let request = fields.iter().fold(request, |request, (name, value)| request.field(name, value));
        assert_eq!(gateway.send(&request).await.status, 200);
        let received = provider.received().pop().expect("a request");
        for (name, value) in fields {
            assert_eq!(received.field(name), Some(value), "{model}: {name}");
        }
    }
    gateway.finish(&[&key]).await;
}
