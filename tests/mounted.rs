//! `tollgate::Gateway` in a Pingora server of somebody's own: a `ProxyHttp` like any other, with all its stages.

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use pingora::prelude::Server;
use pingora::proxy::http_proxy_service;
use pingora::server::{RunArgs, ShutdownSignal, ShutdownSignalWatch};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tollgate::Gateway;
use tollgate::config::Config;
use tollgate::keyring::digest_of;
use tollgate::ledger::LedgerRecord;
use tollgate::serve::open_store;
use tollgate::store::{Act, LedgerFilter, NewKey, Store};
use tollgate_plugin_api::{Flow, Mistakes, Phases, Plugin, PluginRow, Ports, Reject, RejectCode, RequestHead, Summary};

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

/// Panics where the client's `x-panic` says.
struct Faulty;

impl Faulty {
    fn act(place: &str, headers: &HeaderMap) {
        assert!(headers.get("x-panic").is_none_or(|wanted| wanted != place), "a mistake in {place}");
    }
}

#[async_trait]
impl Plugin for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn phases(&self) -> Phases {
        Phases { request: true, upstream_request: true, response: true, logging: true, ..Phases::default() }
    }

    async fn request_filter(&self, head: &mut RequestHead<'_>) -> Result<Flow, Reject> {
        Self::act("request_filter", head.headers);
        Ok(Flow::Continue)
    }

    fn upstream_request_filter(&self, _request_id: u128, request_headers: &HeaderMap, _headers: &mut HeaderMap) {
        Self::act("upstream_request_filter", request_headers);
    }

    fn response_filter(&self, request_headers: &HeaderMap, _status: StatusCode, _headers: &mut HeaderMap) {
        Self::act("response_filter", request_headers);
    }

    fn logging(&self, summary: &Summary<'_>) {
        Self::act("logging", summary.headers);
    }
}

/// Keeps what plugins behind it are told: where a panic was asked for, outcome, error code, status.
struct Witness;

type Told = (String, Option<String>, Option<String>, u16);

static TOLD: Mutex<Vec<Told>> = Mutex::new(Vec::new());

impl Plugin for Witness {
    fn name(&self) -> &'static str {
        "witness"
    }

    fn phases(&self) -> Phases {
        Phases { logging: true, ..Phases::default() }
    }

    fn logging(&self, told: &Summary<'_>) {
        let Some(place) = told.headers.get("x-panic").and_then(|place| place.to_str().ok()) else { return };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let said = (place.to_owned(), owned(told.outcome), owned(told.error_code), told.status);
        TOLD.lock().unwrap().push(said);
    }
}

fn team(table: toml::Table, _ports: &Ports) -> Result<Arc<dyn Plugin>, Mistakes> {
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

/// A configuration with these plugins, in front of a provider.
fn configured(folder: &Path, plugins: &str, provider: SocketAddr) -> Config {
    let text = format!(
        "{plugins}\n[[upstream]]\nname = \"u\"\nprovider = \"openai\"\napi_key = \"k\"\nbase_url = \"http://{provider}/v1\"\nmodels = [\"m\"]\n"
    );
    let file = folder.join("tollgate.toml");
    std::fs::write(&file, &text).expect("a writable folder");
    Config::parse(&text, &file, &|_| None).expect("it is sound")
}

/// Who makes a key, in the audit.
fn act() -> Act {
    Act { at_ms: 0, actor: "the program around it".into() }
}

/// A Pingora server with the gateway in it, in front of that provider; it ends with this process.
fn mounted(folder: &Path, plugins: &str) -> (SocketAddr, Arc<dyn Store>) {
    let config = configured(folder, plugins, provider());
    let store = open_store(&config).expect("it can be made");
    let new = NewKey { name: "k".into(), group: "default".into(), ..NewKey::default() };
    store.people().key_create_by(&act(), &new, &digest_of(CREDENTIAL)).expect("it is the first");
    let gateway = tollgate::serve::gateway(&config).expect("it opens");
    let (server, address) = server_with(gateway);
    thread::spawn(move || server.run_forever());
    (address, store)
}

fn server_with(gateway: Gateway) -> (Server, SocketAddr) {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let mut server = Server::new(None).expect("defaults");
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, gateway);
    service.add_tcp(&address.to_string());
    server.add_service(service);
    (server, address)
}

/// The ledger's records, when there are so many.
fn records(store: &dyn Store, count: usize) -> Vec<LedgerRecord> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let mut rows = Vec::new();
        store.ledger_rows(&LedgerFilter::default(), &mut |row| rows.push(row)).expect("it can be read");
        if rows.len() == count {
            return rows;
        }
        assert!(rows.len() < count && Instant::now() < until, "{rows:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

const CALL: &str = "POST /v1/chat/completions HTTP/1.1\r\nhost: x";
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;

#[test]
fn a_pingora_server_of_ones_own_serves_the_gateway() {
    let folder = tempfile::tempdir().expect("a folder");
    tollgate::plugins::add(PluginRow { name: "team", always: false, paths: &[], build: team });
    let (address, store) = mounted(folder.path(), "[plugins.team]\nname = \"search\"");
    let mut client = connected(address);
    let mut ask = |first: &str, more: &str, body: &str| {
        client.get_mut().write_all(message(first, more, body).as_bytes()).expect("the server reads");
        read_message(&mut client).expect("it answers, on the same connection")
    };
    let nobodys = format!("authorization: Bearer {CREDENTIAL}\r\n");
    let bearer = format!("{nobodys}x-team: search\r\n");
    assert_eq!(ask("GET /v1/health HTTP/1.1\r\nhost: x", "", "").0, "HTTP/1.1 200 OK");
    for _ in 0..2 {
        assert_eq!(ask(CALL, &bearer, BODY), ("HTTP/1.1 200 OK".to_owned(), ANSWER.to_owned()));
    }
    // Who is refused before the body was read gets no second answer on that connection.
    assert!(ask(CALL, "", BODY).1.contains("AUTH_MISSING_TOKEN"));
    let mut other = connected(address);
    other.get_mut().write_all(message(CALL, &nobodys, BODY).as_bytes()).expect("the server reads");
    let refused = read_message(&mut other).expect("it answers");
    assert!(refused.0.contains("403") && refused.1.contains("no team"), "{refused:?}");
    let rows = records(&*store, 2);
    assert!(rows.iter().all(|row| (row.status, row.metered.usage.output_tokens) == (200, 1)), "{rows:?}");
}

#[test]
fn a_request_that_panics_is_told_of_once_as_what_it_was_and_is_settled() {
    let folder = tempfile::tempdir().expect("a folder");
    tollgate::plugins::add(PluginRow { name: "faulty", always: false, paths: &[], build: |_, _| Ok(Arc::new(Faulty)) });
    tollgate::plugins::add(PluginRow {
        name: "witness",
        always: false,
        paths: &[],
        build: |_, _| Ok(Arc::new(Witness)),
    });
    let (address, store) = mounted(folder.path(), "[plugins.faulty]\n[plugins.witness]");
    let places = ["request_filter", "upstream_request_filter", "response_filter", "logging"];
    for place in places {
        let fields = format!("authorization: Bearer {CREDENTIAL}\r\nx-panic: {place}\r\n");
        let mut client = connected(address);
        client.get_mut().write_all(message(CALL, &fields, BODY).as_bytes()).expect("the server reads");
        // Nobody gets half an answer; one whose answer is out has it.
        assert_eq!(read_message(&mut client).is_some(), place == "logging", "{place}");
    }
    let rows = records(&*store, 3);
    let mut settled: Vec<_> = rows.iter().map(|row| (row.outcome.as_str(), row.error_code.as_deref())).collect();
    settled.sort_unstable();
    let cut = ("interrupted", Some("INTERNAL_ERROR"));
    assert_eq!(settled, [cut, cut, ("ok", None)]);
    let until = Instant::now() + Duration::from_secs(20);
    while TOLD.lock().unwrap().len() < places.len() {
        assert!(Instant::now() < until, "{:?}", TOLD.lock().unwrap());
        thread::sleep(Duration::from_millis(20));
    }
    let told = TOLD.lock().unwrap().clone();
    let expected = [None, Some("interrupted"), Some("interrupted"), Some("ok")].map(|word| word.map(str::to_owned));
    let codes = [true, true, true, false].map(|cut| cut.then(|| "INTERNAL_ERROR".to_owned()));
    for (number, (place, outcome, code, status)) in told.iter().enumerate() {
        assert_eq!((&**place, outcome, code), (places[number], &expected[number], &codes[number]));
        assert_eq!(*status, if *place == "logging" { 200 } else { 499 }, "{place}");
    }
    assert_eq!(told.len(), places.len());
}

/// Says when it is told of a request, and when it is closed.
struct Closed(u32);

/// What each of them has said, in order: its number, and what.
static SAID: Mutex<Vec<(u32, &str)>> = Mutex::new(Vec::new());
static MADE: AtomicU32 = AtomicU32::new(0);

impl Plugin for Closed {
    fn name(&self) -> &'static str {
        "closed"
    }

    fn phases(&self) -> Phases {
        Phases { logging: true, ..Phases::default() }
    }

    fn logging(&self, _told: &Summary<'_>) {
        SAID.lock().unwrap().push((self.0, "told"));
    }

    fn close(&self) {
        SAID.lock().unwrap().push((self.0, "closed"));
    }
}

/// A provider that answers its only request when it is let.
fn slow_provider() -> (SocketAddr, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let ((asked, is_asked), (go, goes)) = (mpsc::channel(), mpsc::channel());
    thread::spawn(move || {
        let mut reader = BufReader::new(listener.accept().expect("the gateway connects").0);
        read_message(&mut reader).expect("a request");
        asked.send(()).expect("the test waits");
        goes.recv().expect("the test lets it");
        reader.get_mut().write_all(message("HTTP/1.1 200 OK", "", ANSWER).as_bytes()).expect("the gateway reads");
    });
    (address, is_asked, go)
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_there() {
        assert!(Instant::now() < until, "{what}: {:?}", SAID.lock().unwrap());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends a server when the test says so.
struct Stop(Mutex<Option<oneshot::Receiver<()>>>);

#[async_trait]
impl ShutdownSignalWatch for Stop {
    async fn recv(&self) -> ShutdownSignal {
        let stop = self.0.lock().unwrap().take().expect("asked once");
        let _ = stop.await;
        ShutdownSignal::FastShutdown
    }
}

#[test]
fn plugins_are_closed_when_their_last_request_is_told_of_and_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let build = |_: toml::Table, _: &Ports| -> Result<Arc<dyn Plugin>, Mistakes> {
        Ok(Arc::new(Closed(MADE.fetch_add(1, Ordering::Relaxed))))
    };
    tollgate::plugins::add(PluginRow { name: "closed", always: false, paths: &[], build });
    let (provider, is_asked, go) = slow_provider();
    let config = configured(folder.path(), "[plugins.closed]", provider);
    let store = open_store(&config).expect("it can be made");
    let new = NewKey { name: "k".into(), group: "default".into(), ..NewKey::default() };
    store.people().key_create_by(&act(), &new, &digest_of(CREDENTIAL)).expect("it is the first");
    let gateway = tollgate::serve::gateway(&config).expect("it opens");
    let (server, address) = server_with(gateway.clone());
    let (stop, stopped) = oneshot::channel();
    let signal = Stop(Mutex::new(Some(stopped)));
    let serving = thread::spawn(move || server.run(RunArgs { shutdown_signal: Box::new(signal) }));

    let mut client = connected(address);
    let bearer = format!("authorization: Bearer {CREDENTIAL}\r\n");
    client.get_mut().write_all(message(CALL, &bearer, BODY).as_bytes()).expect("the server reads");
    is_asked.recv().expect("the provider is asked");
    let shared = gateway.shared();
    let ports = Ports { keys: shared.keys.clone(), losses: shared.metrics.clone(), ..Ports::to_nothing() };
    let prices = shared.snapshot.load().prices.clone();
    let next = tollgate::config::build(&config, prices, &ports, None).map_err(|_| "it is sound").expect("the same");
    shared.supersede(next);
    shared.close_superseded();
    assert_eq!(*SAID.lock().unwrap(), [], "a request is still to be told of");
    go.send(()).expect("the provider waits");
    assert_eq!(read_message(&mut client).expect("it answers").1, ANSWER);
    wait_for("the first one's end", || {
        shared.close_superseded();
        *SAID.lock().unwrap() == [(0, "told"), (0, "closed")]
    });
    stop.send(()).expect("the server runs");
    serving.join().expect("it ends");
    assert!(gateway.close(), "everything is in the store");
    assert_eq!(*SAID.lock().unwrap(), [(0, "told"), (0, "closed"), (1, "closed")]);
    assert_eq!(records(&*store, 1)[0].status, 200);
}

#[test]
fn a_path_of_a_plugin_of_ones_own_starts_from_the_config_files_folder() {
    let build = |_, _: &Ports| Ok(Arc::new(Witness) as Arc<dyn Plugin>);
    tollgate::plugins::add(PluginRow { name: "filed", always: false, paths: &["file"], build });
    let text = "[plugins.filed]\nfile = \"teams.txt\"\nother = \"teams.txt\"\n";
    let config = Config::parse(text, Path::new("conf/tollgate.toml"), &|_| None).expect("a sound configuration");
    assert_eq!(config.plugins["filed"]["file"].as_str(), Some("conf/teams.txt"));
    assert_eq!(config.plugins["filed"]["other"].as_str(), Some("teams.txt"));
}
