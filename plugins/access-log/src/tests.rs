use super::*;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use tollgate_plugin_api::{Metered, Usage};
use tollgate_plugin_doubles::key;
use writer::Out;

fn plugin(table: &str) -> Result<Arc<dyn Plugin>, Mistakes> {
    build(table.parse().unwrap(), &Ports::to_nothing())
}

fn log(plugin: &dyn Plugin, request_id: &str) {
    let key = key("alice");
    let usage = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
    plugin.logging(&Summary {
        request_id,
        request_number: 1,
        key: Some(&key),
        status: 200,
        metered: &Metered { usage, ..Metered::default() },
        cost_nanos: 11_000,
        started_at_ms: 1_700_000_000_000,
        duration_ms: 21,
        ttft_ms: None,
        client: Some("192.0.2.7"),
        method: "POST",
        path: "/v1/chat/completions",
        headers: &http::HeaderMap::new(),
        dialect: "openai",
        endpoint: Some("chat"),
        conventional_operation: Some("chat"),
        model: Some("m\"\n"),
        stream: Some(false),
        provider: Some("openai"),
        conventional_provider: Some("openai"),
        upstream: Some("u"),
        upstream_model: Some("m-1"),
        attempts: 1,
        outcome: Some("ok"),
        error_code: None,
        rejected_by: None,
        content: None,
    });
}

fn file_plugin(path: &Path, more: &str) -> Arc<dyn Plugin> {
    file_plugin_of(&Ports::to_nothing(), path, more)
}

/// Of this gateway.
fn file_plugin_of(ports: &Ports, path: &Path, more: &str) -> Arc<dyn Plugin> {
    let table = format!("output = 'file'\npath = '{}'\n{more}", path.display());
    build(table.parse().unwrap(), ports).unwrap()
}

/// Every line of a file, as JSON.
fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn a_line_says_who_what_how_and_how_much() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let plugin = file_plugin(&path, "");
    assert!(!path.exists(), "nothing is opened to check a configuration");
    log(&*plugin, "r-1");
    plugin.close();
    let expected = serde_json::json!({"time": "2023-11-14T22:13:20.000Z", "request_id": "r-1", "client": "192.0.2.7",
        "key_id": 7, "key_name": "alice", "group": "default", "method": "POST", "path": "/v1/chat/completions",
        "status": 200, "dialect": "openai", "endpoint": "chat", "model": "m\"\n", "stream": false, "upstream": "u",
        "upstream_model": "m-1", "attempts": 1, "outcome": "ok", "input_tokens": 3, "cached_input_tokens": 0,
        "cache_write_tokens": 0, "output_tokens": 4, "reasoning_tokens": 0, "usage_source": "none",
        "cost_nanos": 11_000, "duration_ms": 21});
    assert_eq!(lines(&path), [expected]);
}

#[test]
fn a_full_file_is_renamed_and_so_many_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let plugin = file_plugin(&path, "rotate_bytes_max = 4096\nfiles_max = 3");
    for number in 0..60 {
        log(&*plugin, &format!("r-{number}"));
    }
    plugin.close();
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["access.log", "access.log.1", "access.log.2"]);
    let mut kept = Vec::new();
    for name in names.iter().rev() {
        let file = folder.path().join(name);
        assert!(fs::metadata(&file).unwrap().len() <= 4096, "{name}");
        kept.extend(lines(&file).iter().map(|line| line["request_id"].as_str().unwrap().to_owned()));
    }
    let last: Vec<String> = (60 - kept.len()..60).map(|number| format!("r-{number}")).collect();
    assert_eq!(kept, last, "the latest lines, in order, none twice");
    assert!(kept.len() > 15);
}

#[test]
fn a_file_that_somebody_renamed_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("access.log"), folder.path().join("moved"));
    let plugin = file_plugin(&path, "");
    log(&*plugin, "before");
    plugin.close();
    fs::rename(&path, &moved).unwrap();
    let started = Instant::now();
    while lines(&path).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "never opened anew");
        log(&*plugin, "after");
        plugin.close();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(lines(&moved)[0]["request_id"], "before");
}

#[test]
fn two_processes_rename_a_full_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let limits = Limits { rotate_bytes_max: 100, files_max: 3 };
    // As during an upgrade: each has the file open, and counts what it writes.
    let [mut old, mut new] = [path.clone(), path.clone()].map(file::LogFile::new);
    let line = |bytes: usize| format!("{}\n", "x".repeat(bytes - 1)).into_bytes();
    old.append(&line(60), limits).unwrap();
    new.append(&line(30), limits).unwrap();
    new.append(&line(60), limits).unwrap();
    old.append(&line(45), limits).unwrap();
    new.append(&line(45), limits).unwrap();
    old.append(&line(45), limits).unwrap();
    let bytes = |number: &str| fs::metadata(format!("{}{number}", path.display())).map(|file| file.len()).ok();
    assert_eq!([bytes(""), bytes(".1"), bytes(".2"), bytes(".3")], [Some(135), Some(60), Some(90), None]);
}

#[test]
fn a_reload_goes_on_with_the_same_file_and_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let ports = Ports::to_nothing();
    let (old, new) = (file_plugin_of(&ports, &path, ""), file_plugin_of(&ports, &path, "files_max = 2"));
    for number in 0..100 {
        log(&*old, &format!("old-{number}"));
        log(&*new, &format!("new-{number}"));
    }
    drop(old);
    new.close();
    assert_eq!(lines(&path).len(), 200);
}

/// Takes a write only when it is let.
struct Slow(Receiver<()>, Arc<Mutex<String>>);

impl Out for Slow {
    fn put(&mut self, lines: &[u8], _limits: Limits) -> Result<(), file::CutShort> {
        // When nobody lets it any more, it goes on.
        let _ = self.0.recv();
        self.1.lock().unwrap().push_str(std::str::from_utf8(lines).unwrap());
        Ok(())
    }
}

#[test]
fn a_slow_output_holds_nobody_up_and_lost_lines_are_counted() {
    let (let_go, gate) = sync_channel(0);
    let written = Arc::new(Mutex::new(String::new()));
    let writer = Writer::to(Box::new(Slow(gate, written.clone())), 10, Ports::to_nothing().losses);
    let limits = Limits { rotate_bytes_max: 1 << 20, files_max: 1 };
    for _ in 0..1000 {
        writer.write(|line| line.extend_from_slice(b"{}\n"), limits);
    }
    drop(let_go);
    writer.flush();
    let text = written.lock().unwrap().clone();
    let kept = text.lines().filter(|line| *line == "{}").count();
    let lost: u64 = text
        .lines()
        .filter(|line| line.contains("lines_dropped"))
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["lines"].as_u64().unwrap())
        .sum();
    assert!(kept >= 10, "what had room is there: {text}");
    assert_eq!(kept as u64 + lost, 1000, "{text}");
}

/// A disk with so much room.
struct Room(Arc<Mutex<Vec<u8>>>, usize);

impl Out for Room {
    fn put(&mut self, lines: &[u8], _limits: Limits) -> Result<(), file::CutShort> {
        let bytes_max = self.1 - self.0.lock().unwrap().len();
        let mut room = vec![0; bytes_max];
        let mut left = &mut room[..];
        let done = file::write_all(&mut left, lines);
        let used = bytes_max - left.len();
        self.0.lock().unwrap().extend_from_slice(&room[..used]);
        done
    }
}

#[test]
fn of_lines_that_are_written_in_part_those_that_are_there_are_not_lost() {
    for (room, whole) in [(100 * LINE.len(), 100), (99 * LINE.len() + 1, 99), (LINE.len() - 1, 0), (0, 0)] {
        let (written, losses) = (Arc::default(), Arc::new(Lost::default()));
        let writer = Writer::to(Box::new(Room(Arc::clone(&written), room)), 1_000, losses.clone());
        let limits = Limits { rotate_bytes_max: 1 << 20, files_max: 1 };
        for _ in 0..300 {
            writer.write(|line| line.extend_from_slice(LINE), limits);
        }
        writer.flush();
        assert_eq!(written.lock().unwrap().len(), room);
        assert_eq!(losses.0.load(std::sync::atomic::Ordering::Relaxed), 300 - whole, "{room} bytes");
    }
}

const LINE: &[u8] = b"{\"a\":1}\n";

#[derive(Default)]
struct Lost(std::sync::atomic::AtomicU64);

impl tollgate_plugin_api::Losses for Lost {
    fn lost(&self, _plugin: &'static str, _loss: tollgate_plugin_api::Loss, count: u64) {
        self.0.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn mistakes_in_the_table_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display();
    for (table, word) in [
        ("outputs = 'file'".to_owned(), "outputs"),
        ("output = 'syslog'".to_owned(), "stdout"),
        ("output = 'file'".to_owned(), "path: is missing"),
        ("path = 'x'".to_owned(), "path: has no meaning"),
        ("files_max = 3".to_owned(), "files_max: has no meaning"),
        (format!("output = 'file'\npath = '{here}'"), "is a folder"),
        (format!("output = 'file'\npath = '{here}/no/where'"), "there is no folder"),
        (format!("output = 'file'\npath = '{here}/a'\nrotate_bytes_max = 1"), "rotate_bytes_max"),
        (format!("output = 'file'\npath = '{here}/a'\nfiles_max = 0"), "files_max"),
    ] {
        let error = plugin(&table).err().expect(&table).to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(plugin("").is_ok(), "standard output, if nothing is said");
}
