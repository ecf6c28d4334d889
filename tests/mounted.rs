//! `tollgate::Gateway` in a Pingora server of somebody's own: a `ProxyHttp` like any other, with all its stages.

use async_trait::async_trait;
use pingora::prelude::Server;
use pingora::proxy::http_proxy_service;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tollgate::config::Config;
use tollgate::keyring::digest_of;
use tollgate::serve::open_store;
use tollgate::store::{LedgerFilter, NewKey};
use tollgate_plugin_api::{Flow, Phases, Plugin, PluginRow, Ports, Reject, RejectCode, RequestHead};

/// A plugin of one's own: `[plugins.team]`, `name = "…"`; refuses whoever does not say it.
struct Team(String);

#[async_trait]
impl Plugin for Team {
    fn name(&self) -> &'static str {
        "team"
    }

    fn phases(&self) -> Phases {
        Phases { request: true, ..Phases::default() }
    }

    async fn request_filter(&self, head: &mut RequestHead<'_>) -> Result<Flow, Reject> {
        assert!(head.key.is_some(), "it acts behind the built-in ones");
        match head.headers.get("x-team") {
            Some(team) if *team == *self.0 => Ok(Flow::Continue),
            _ => Err(Reject::new(RejectCode::Forbidden).message("no team")),
        }
    }
}

fn team(table: toml::Table, _ports: &Ports) -> Result<Arc<dyn Plugin>, String> {
    let name = table.get("name").and_then(toml::Value::as_str).ok_or("name: missing")?;
    Ok(Arc::new(Team(name.to_owned())))
}

const CREDENTIAL: &str = "sk-tg-mounted";
const ANSWER: &str = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;

/// Reads a head and the body that it announces; the head's first line and the body.
fn read_message(from: &mut impl BufRead) -> Option<(String, String)> {
    let (mut first, mut length) = (String::new(), 0);
    from.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(digits) = line.strip_prefix("content-length:") {
            length = digits.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some((first.trim().to_owned(), String::from_utf8(body).ok()?))
}

fn message(first: &str, more: &str, body: &str) -> String {
    format!("{first}\r\n{more}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A provider that gives the same answer to everything.
fn provider() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                while read_message(&mut reader).is_some() {
                    let sent = reader.get_mut().write_all(message("HTTP/1.1 200 OK", "", ANSWER).as_bytes());
                    sent.expect("the gateway reads");
                }
            });
        }
    });
    address
}

fn connected(address: SocketAddr) -> BufReader<TcpStream> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return BufReader::new(stream),
            Err(error) => assert!(Instant::now() < until, "the server does not listen: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_pingora_server_of_ones_own_serves_the_gateway() {
    let folder = tempfile::tempdir().expect("a folder");
    tollgate::plugins::add(PluginRow { name: "team", always: false, build: team });
    let text = format!(
        "[plugins.team]\nname = \"search\"\n[[upstream]]\nname = \"u\"\nprovider = \"openai\"\napi_key = \"k\"\nbase_url = \"http://{}/v1\"\nmodels = [\"m\"]\n",
        provider()
    );
    let config = Config::parse(&text, &folder.path().join("tollgate.toml"), &|_| None).expect("it is sound");
    let store = open_store(&config).expect("it can be made");
    let new = NewKey { name: "k".into(), group: "default".into(), ..NewKey::default() };
    store.key_create(&new, &digest_of(CREDENTIAL), 0).expect("it is the first");
    let gateway = tollgate::serve::gateway(&config).expect("it opens");

    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let mut server = Server::new(None).expect("defaults");
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, gateway);
    service.add_tcp(&address.to_string());
    server.add_service(service);
    // It ends with this process.
    thread::spawn(move || server.run_forever());

    let mut client = connected(address);
    let mut ask = |first: &str, more: &str, body: &str| {
        client.get_mut().write_all(message(first, more, body).as_bytes()).expect("the server reads");
        read_message(&mut client).expect("it answers, on the same connection")
    };
    let call = "POST /v1/chat/completions HTTP/1.1\r\nhost: x";
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let nobodys = format!("authorization: Bearer {CREDENTIAL}\r\n");
    let bearer = format!("{nobodys}x-team: search\r\n");
    assert_eq!(ask("GET /v1/health HTTP/1.1\r\nhost: x", "", "").0, "HTTP/1.1 200 OK");
    for _ in 0..2 {
        assert_eq!(ask(call, &bearer, body), ("HTTP/1.1 200 OK".to_owned(), ANSWER.to_owned()));
    }
    // Who is refused before the body was read gets no second answer on that connection.
    assert!(ask(call, "", body).1.contains("AUTH_MISSING_TOKEN"));
    let mut other = connected(address);
    other.get_mut().write_all(message(call, &nobodys, body).as_bytes()).expect("the server reads");
    let refused = read_message(&mut other).expect("it answers");
    assert!(refused.0.contains("403") && refused.1.contains("no team"), "{refused:?}");
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let mut rows = Vec::new();
        store.ledger_rows(&LedgerFilter::default(), &mut |row| rows.push(row)).expect("it can be read");
        if rows.len() == 2 {
            assert!(rows.iter().all(|row| (row.status, row.metered.usage.output_tokens) == (200, 1)), "{rows:?}");
            break;
        }
        assert!(rows.len() < 2 && Instant::now() < until, "{rows:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
