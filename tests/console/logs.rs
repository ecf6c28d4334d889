//! The log, its pages and files, sums and overviews; and what is told of why an upstream was chosen.

use crate::support::PATIENCE;
use crate::support::answers;
use crate::support::client::{Ended, Request};
use crate::support::console::Visitor;
use crate::support::gateway::{Gateway, Key, PRICES, Setup, Upstream};
use crate::support::provider::{ClosedPort, Provider};
use crate::support::script::Answer;
use serde_json::{Value, json};
use tollgate::balance::Failure;

const PASSWORD: &str = "correct horse battery";

fn chat(key: &str, model: &str) -> Request {
    let body = json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Say something."}]});
    Request::post("/v1/chat/completions", &body).key(key)
}

fn upstream(name: &str, provider: &Provider) -> Upstream {
    Upstream::new(name, "openai", provider.url("/v1"))
}

/// A gateway with the keys of two users, and three requests of each.
struct Stage {
    gateway: Gateway,
    admin: Visitor,
    ann: Visitor,
    keys: [Key; 2],
    _providers: [Provider; 2],
}

impl Stage {
    /// One upstream that always fails comes first; one that is well, second.
    async fn start() -> Self {
        let failing = Answer::json(500, &json!({"error": {"message": "no"}}));
        let providers = [Provider::always(failing).await, Provider::always(answers::chat("x", 10, 5)).await];
        let first = upstream("first", &providers[0]);
        let second = upstream("second", &providers[1]).with("priority = 1");
        let third = upstream("third", &providers[1]).with("priority = 2");
        let setup = Setup::new([first, second, third]).set("breaker.failures_to_open", "2");
        let gateway = Gateway::start(&setup).await;
        let admin = Visitor::admin(&gateway).await;
        let new = json!({"name": "ann", "role": "user", "password": PASSWORD});
        admin.post("/users", &new).await.ok();
        let ann = Visitor::sign_in(gateway.address, "ann", PASSWORD).await;
        let keys =
            [gateway.key("of-ann", &["--user", "ann"]).await, gateway.key("=of-admin", &["--user", "admin"]).await];
        Self { gateway, admin, ann, keys, _providers: providers }
    }

    async fn used(self) -> Self {
        for nth in 0..6 {
            let answer = self.gateway.send(&chat(&self.keys[nth % 2].key, "m")).await;
            assert_eq!(answer.status, 200);
        }
        self.gateway.wait_records(6).await;
        self
    }
}

fn items(body: &Value) -> &Vec<Value> {
    body["items"].as_array().expect("a listing")
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["request_id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn the_log_has_pages_and_a_user_sees_their_own() {
    let stage = Stage::start().await.used().await;
    let all = stage.admin.get("/logs").await.ok();
    assert_eq!((items(&all).len(), &all["next"]), (6, &Value::Null));
    assert_eq!(items(&all)[..], stage.gateway.run_json(&["log", "list", "--json"])[..], "as the command has them");
    let mut paged = Vec::new();
    let mut target = "/logs?limit=4".to_owned();
    loop {
        let page = stage.admin.get(&target).await.ok();
        paged.extend(items(&page).clone());
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/logs?limit=4&cursor={next}");
    }
    assert_eq!(ids(&paged), ids(items(&all)));
    let own = stage.ann.get("/logs").await.ok();
    assert_eq!(items(&own).len(), 3);
    assert!(items(&own).iter().all(|row| row["user"] == "ann"));
    let foreign = items(&all).iter().find(|row| row["user"] == "admin").expect("one")["request_id"].as_str();
    let foreign = foreign.expect("an id");
    assert_eq!(items(&stage.ann.get("/logs?user=admin").await.ok()).len(), 0);
    assert_eq!(items(&stage.ann.get(&format!("/logs?q={foreign}")).await.ok()).len(), 0);
    assert_eq!(stage.ann.get(&format!("/logs/{foreign}")).await.code(), "NOT_FOUND");
    assert_eq!(items(&stage.ann.get("/logs?key=%3Dof-admin").await.ok()).len(), 0);
    for (query, count) in [
        (format!("q={foreign}"), 1),
        ("key=of-ann".to_owned(), 3),
        ("user=ann".to_owned(), 3),
        ("model=m&status=200&outcome=ok".to_owned(), 6),
        ("upstream=second".to_owned(), 6),
        ("upstream=first".to_owned(), 0),
        ("outcome=upstream_error".to_owned(), 0),
        ("since=2020-01-01T00:00:00Z".to_owned(), 6),
        ("until=2020-01-01T00:00:00Z".to_owned(), 0),
    ] {
        assert_eq!(items(&stage.admin.get(&format!("/logs?{query}")).await.ok()).len(), count, "{query}");
    }
    for query in ["limit=0", "limit=1001", "cursor=x", "q=x", "since=yesterday", "status=x", "outcome=x", "other=1"] {
        assert_eq!(stage.admin.get(&format!("/logs?{query}")).await.code(), "INVALID", "{query}");
    }
    assert_eq!(stage.admin.get("/logs/x").await.code(), "NOT_FOUND");
}

#[tokio::test]
async fn a_keys_name_means_the_same_records_in_console_file_and_command() {
    let stage = Stage::start().await;
    let gateway = &stage.gateway;
    let mut count = 0;
    let mut used = async |key: &Key, times: usize| {
        for _ in 0..times {
            assert_eq!(gateway.send(&chat(&key.key, "m")).await.status, 200);
        }
        count += times;
        gateway.wait_records(count).await;
    };
    let renamed = |key: &Key, name: &str| {
        gateway.run_json(&["key", "set", &key.id.to_string(), "--name", name, "--json"]);
    };
    let deleted = |key: &Key| gateway.run_json(&["key", "delete", &key.id.to_string(), "--json"]);
    // Renamed and deleted; deleted and made again; renamed, while another one takes the name.
    let old = gateway.key("old", &[]).await;
    used(&old, 2).await;
    renamed(&old, "new");
    deleted(&old);
    let team = gateway.key("team", &[]).await;
    used(&team, 2).await;
    deleted(&team);
    let team = gateway.key("team", &[]).await;
    used(&team, 1).await;
    let x = gateway.key("x", &[]).await;
    used(&x, 1).await;
    renamed(&x, "y");
    let other = gateway.key("x", &[]).await;
    used(&other, 2).await;
    let sums = stage.admin.get("/usage?by=key").await.ok();
    for (name, meant) in [("old", 2), ("new", 2), ("team", 3), ("x", 3), ("y", 1)] {
        let listed = stage.admin.get(&format!("/logs?key={name}")).await.ok();
        let listed = ids(items(&listed));
        assert_eq!(listed.len(), meant, "{name}");
        let command = gateway.run_json(&["log", "list", "--key", name, "--json"]);
        assert_eq!(listed, ids(&command), "{name}");
        let file = stage.admin.get(&format!("/logs/export?format=jsonl&key={name}")).await.answer.text();
        let file: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(listed, ids(&file), "{name}");
        // What stands beside the name in the sums is among them.
        for sum in items(&sums).iter().filter(|sum| sum["name"] == name) {
            let of_key = command.iter().filter(|row| row["key_id"] == sum["key_id"]).count();
            assert_eq!(sum["requests"], of_key, "{name}");
            let by_id = stage.admin.get(&format!("/logs?key={}", sum["key_id"])).await.ok();
            assert_eq!(items(&by_id).len(), of_key, "{name}");
        }
    }
}

#[tokio::test]
async fn a_log_is_exported_and_no_cell_is_a_formula() {
    let stage = Stage::start().await.used().await;
    let csv = stage.admin.get("/logs/export?format=csv").await;
    assert_eq!((csv.status, csv.answer.field("content-type")), (200, Some("text/csv; charset=utf-8")));
    let text = csv.answer.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 7);
    assert!(lines[0].starts_with("request_id,started_at,key_id,key_name,user,"), "{}", lines[0]);
    assert_eq!(lines.iter().filter(|line| line.contains(",\"'=of-admin\",admin,")).count(), 3, "{text}");
    let jsonl = stage.ann.get("/logs/export?format=jsonl").await.answer.text();
    let rows: Vec<Value> = jsonl.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows[..], items(&stage.ann.get("/logs").await.ok())[..]);
    assert_eq!(stage.ann.get("/logs/export?format=csv&user=admin").await.answer.text().lines().count(), 1);
    assert_eq!(stage.admin.get("/logs/export?format=xml").await.code(), "INVALID");
}

/// More records than a page has: copies of the first, each a second before the one before.
fn copied(stage: &Stage, count: usize) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(stage.gateway.path("data/tollgate.db")).expect("the store");
    let columns = "SELECT group_concat(name) FROM pragma_table_info('ledger') WHERE name NOT IN ('sequence', 'request_id', 'started_at_ms')";
    let columns: String = database.query_row(columns, [], |row| row.get(0)).expect("its columns");
    let sql = format!(
        "WITH RECURSIVE copy (nth) AS (SELECT 1 UNION ALL SELECT nth + 1 FROM copy WHERE nth < {count}) \
         INSERT INTO ledger (sequence, request_id, started_at_ms, {columns}) \
         SELECT 1000 + nth, randomblob(16), started_at_ms - nth * 1000, {columns} FROM copy, ledger WHERE sequence = 1"
    );
    assert_eq!(database.execute(&sql, []).expect("rows"), count);
    database
}

#[tokio::test]
async fn an_export_has_every_record_and_one_that_cannot_be_read_to_its_end_breaks_off() {
    let stage = Stage::start().await.used().await;
    let database = copied(&stage, 3_500);
    for (format, head) in [("jsonl", 0), ("csv", 1)] {
        let told = stage.admin.get(&format!("/logs/export?format={format}")).await;
        assert_eq!((told.status, told.answer.ended), (200, Ended::Whole), "{format}");
        let text = told.answer.text();
        let ids: std::collections::BTreeSet<&str> =
            text.lines().skip(head).filter_map(|line| line.split(['"', ',']).find(|part| part.len() == 36)).collect();
        assert_eq!((ids.len(), text.lines().count() - head), (3_506, 3_506), "{format}: each once");
    }
    // A row far behind the first pages that cannot be read.
    database.execute("UPDATE ledger SET outcome = 'unknown' WHERE sequence = 4000", []).expect("a row");
    for format in ["jsonl", "csv"] {
        let told = stage.admin.get(&format!("/logs/export?format={format}")).await;
        let lines = told.answer.text().lines().count();
        assert!(lines > 1_000 && lines < 3_100, "{lines}");
        assert_ne!(told.answer.ended, Ended::Whole, "{format}: a program notices");
    }
}

#[tokio::test]
async fn usage_and_overview_add_up_and_a_user_sees_their_own() {
    let stage = Stage::start().await.used().await;
    let cost: i64 = stage.gateway.records().iter().map(|row| row["cost_nanos"].as_i64().expect("an amount")).sum();
    assert!(cost > 0);
    for by in ["key", "user", "model", "upstream", "day"] {
        for (visitor, requests) in [(&stage.admin, 6), (&stage.ann, 3)] {
            let usage = visitor.get(&format!("/usage?by={by}")).await.ok();
            let sum = |field: &str| -> i64 { items(&usage).iter().filter_map(|item| item[field].as_i64()).sum() };
            assert_eq!((sum("requests"), sum("input_tokens")), (requests, requests * 10), "{by}");
            assert_eq!(sum("cost_nanos"), cost * requests / 6, "{by}");
        }
    }
    assert_eq!(stage.ann.get("/usage").await.code(), "INVALID");
    for range in ["1h", "24h", "7d", "30d"] {
        for (visitor, requests) in [(&stage.admin, 6), (&stage.ann, 3)] {
            let told = visitor.get(&format!("/overview?range={range}")).await.ok();
            assert_eq!(told["totals"]["requests"], requests, "{range}");
            let series = told["series"]["requests"].as_array().expect("a series");
            assert_eq!(series.iter().filter_map(Value::as_i64).sum::<i64>(), requests, "{range}");
            assert_eq!(series.len(), told["series"]["at"].as_array().expect("times").len());
            assert_eq!(told["top"]["models"][0]["name"], "m");
            assert_eq!(told["top"]["keys"].as_array().map(Vec::len), Some(if requests == 6 { 2 } else { 1 }));
        }
    }
    assert_eq!(stage.admin.get("/overview?range=1y").await.code(), "INVALID");
}

#[tokio::test]
async fn why_an_upstream_was_chosen_is_kept_and_told() {
    let mut stage = Stage::start().await;
    let first = stage.gateway.send(&chat(&stage.keys[0].key, "m")).await;
    let again = stage.gateway.send(&chat(&stage.keys[0].key, "m")).await;
    // The breaker is open now.
    let passed_over = stage.gateway.send(&chat(&stage.keys[0].key, "m")).await;
    stage.gateway.wait_records(3).await;
    let page = async |answer: &crate::support::client::Answer| {
        let id = answer.field("x-request-id").expect("an id").to_owned();
        stage.admin.get(&format!("/logs/{id}")).await.ok()
    };
    for answer in [&first, &again] {
        let told = page(answer).await;
        let attempts: Vec<_> = told["attempts"].as_array().expect("attempts").iter().collect();
        assert_eq!(attempts.len(), 2, "{told}");
        assert_eq!((&attempts[0]["upstream"], &attempts[0]["status"]), (&"first".into(), &500.into()));
        assert_eq!((&attempts[0]["outcome"], &attempts[1]["outcome"]), (&"server_error".into(), &"ok".into()));
        assert_eq!((&attempts[1]["upstream"], &attempts[1]["status"]), (&"second".into(), &200.into()));
        let taken: Vec<_> = told["candidates"].as_array().expect("some").iter().map(|one| &one["taken"]).collect();
        assert_eq!(taken, [true, true, false]);
        assert_eq!(told["candidates"][2]["code"], "priority");
        let why = told["candidates"][2]["why"].as_str().expect("a sentence");
        assert!(why.starts_with("its priority 2 is tried"), "as it is configured: {why}");
        assert!(told["price_lines"].as_array().is_some_and(|lines| lines.len() > 1), "{told}");
        assert_eq!(
            (&told["price_is_the_same"], &told["price_now_nanos"]),
            (&true.into(), &told["record"]["cost_nanos"])
        );
    }
    let told = page(&passed_over).await;
    assert_eq!(told["attempts"].as_array().map(Vec::len), Some(1));
    assert_eq!((&told["candidates"][0]["taken"], &told["candidates"][0]["code"]), (&false.into(), &"breaker".into()));
    assert!(told["candidates"][0]["why"].as_str().is_some_and(|why| why.contains("server_error")), "{told}");
    // It outlives the process, and the command tells it, too.
    let id = passed_over.field("x-request-id").expect("an id").to_owned();
    stage.gateway.stop().await;
    let told = stage.gateway.run_json(&["explain", &id, "--json"]);
    assert_eq!(told[0]["candidates"][0]["code"], "breaker");
    let shown = stage.gateway.run(&["explain", &id]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    for words in ["Attempts", "second", "passed over", "its breaker is open", "Price", "10 tokens"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Another version of the prices is not yet another price.
    for (prices, said) in [
        (format!("# A remark.\n{PRICES}"), "it costs the same"),
        (PRICES.replace("input = 1", "input = 3"), "It was billed"),
        (String::new(), "there is no price for it any more"),
    ] {
        stage.gateway.write("pricing.toml", &prices);
        let text = String::from_utf8_lossy(&stage.gateway.run(&["explain", &id]).stdout).into_owned();
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test]
async fn what_no_price_was_for_then_and_now_is_billed_by_no_other() {
    let bad = Answer::json(400, &json!({"error": {"message": "no"}}));
    let (refusing, silent) = (Provider::always(bad).await, ClosedPort::new());
    let answering = Provider::always(answers::chat("x", 10, 5)).await;
    let of = |name: &str, url: String| Upstream::new(name, "openai", url).models(&format!("[\"{name}\"]"));
    let upstreams = [
        of("refused", refusing.url("/v1")),
        of("dead", format!("http://{}/v1", silent.address)),
        of("unpriced", answering.url("/v1")),
        of("priced", answering.url("/v1")),
    ];
    let price = |name: &str| format!("[[model]]\nname = \"{name}\"\ninput = 1\noutput = 2\n");
    let prices = ["refused", "dead", "priced"].map(price).concat();
    let gateway = Gateway::start(&Setup::new(upstreams).prices(&prices)).await;
    let admin = Visitor::admin(&gateway).await;
    let key = gateway.key("k", &[]).await;
    let models = ["refused", "dead", "unpriced", "priced"];
    let mut ids = Vec::new();
    for model in models {
        ids.push(gateway.send(&chat(&key.key, model)).await.field("x-request-id").expect("an id").to_owned());
    }
    gateway.wait_records(models.len()).await;
    let reload = async |prices: &str| {
        gateway.write("pricing.toml", prices);
        assert_eq!(admin.post("/reload", &json!({})).await.ok()["status"], "reloaded");
    };
    let are_the_same = async || {
        let mut told = Vec::new();
        for id in &ids {
            told.push(admin.get(&format!("/logs/{id}")).await.ok()["price_is_the_same"] == true);
        }
        told
    };
    assert_eq!(are_the_same().await, [true; 4]);
    reload(&format!("# A remark.\n{prices}")).await;
    assert_eq!(are_the_same().await, [true, true, true, false], "only what was billed was billed by another version");
    reload(&format!("{prices}{}", price("unpriced"))).await;
    assert_eq!(are_the_same().await, [true, true, false, false], "it would cost something by now");
    reload("").await;
    assert_eq!(are_the_same().await, [true, true, true, false]);
}

#[tokio::test]
async fn an_admins_key_is_told_in_a_header_and_no_other() {
    let stage = Stage::start().await;
    let asked = |key: &Key| chat(&key.key, "m").field("x-tollgate-explain", "1");
    let header = async |request: &Request| {
        let answer = stage.gateway.send(request).await;
        assert_eq!(answer.status, 200);
        answer.field("x-tollgate-explain").map(str::to_owned)
    };
    let known = async {
        while header(&asked(&stage.keys[1])).await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.expect("the admins are known within a second");
    let told: Value = serde_json::from_str(&header(&asked(&stage.keys[1])).await.expect("it is told")).expect("JSON");
    assert_eq!(told["attempts"].as_array().and_then(|all| all.last()).expect("one")["upstream"], "second");
    assert_eq!(told["candidates"].as_array().map(Vec::len), Some(3));
    assert_eq!(header(&asked(&stage.keys[0])).await, None, "another's key");
    assert_eq!(header(&chat(&stage.keys[1].key, "m")).await, None, "nobody asked");
}

/// By the script that is built and embedded, in which each text is a list: English, Chinese.
#[test]
fn the_pages_have_words_for_every_class_of_failures() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/console/assets");
    let built = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let index = built("index.html");
    let mut named = index.split('"').filter_map(|part| part.strip_prefix("/console/"));
    let script = built(named.find(|path| path.starts_with("assets/") && path.ends_with(".js")).expect("a script"));
    let wordless = |name: &&str| {
        let texts = script.split_once(&format!("\"outcome.{name}\":[`")).and_then(|(_, rest)| rest.split_once("`]"));
        let texts: Vec<&str> = texts.map_or(Vec::new(), |(texts, _)| texts.split("`,`").collect());
        texts.len() != 2 || texts.contains(&"")
    };
    assert_eq!(Failure::names().filter(wordless).collect::<Vec<_>>(), [""; 0]);
}
