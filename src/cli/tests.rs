//! The commands, run as a shell would, against a store and files of their own.

mod check;
mod import;
mod import_channels;
mod import_config;
mod import_exact;
mod key;
mod ledger;
mod price;
mod secret;
mod start;
mod user;

use super::{Terminal, run};
use serde_json::Value;
use std::io::{self, Write};
use std::path::PathBuf;
use tempfile::TempDir;

/// 2026-01-31T12:00:00Z
const NOW_MS: i64 = 1_769_860_800_000;

/// Whose process a command is.
const WHOSE: &str = "ann, uid 1000";

const CONFIG: &str = r#"
[store]
url = "sqlite:state/t.db"
[ledger]
journal_dir = "state/journal"
[[upstream]]
name = "main"
provider = "openai"
api_key = "${MAIN_KEY}"
models = ["gpt-4o", { name = "fast", upstream_model = "gpt-4o-mini" }]
groups = ["default", "vip"]
"#;

/// A folder with a config file.
struct Place(TempDir);

/// What a command did.
#[derive(Debug)]
struct Ran {
    status: u8,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("tollgate.toml", CONFIG);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs a command line without the program's name and `-c`; words are separated by spaces.
    fn run(&self, line: &str) -> Ran {
        self.run_at(line, NOW_MS, None)
    }

    fn run_at(&self, line: &str, now_ms: i64, width: Option<u16>) -> Ran {
        self.run_with(line, "", &|name| (name == "MAIN_KEY").then(|| "sk-main-canary".to_string()), now_ms, width)
    }

    fn run_with(
        &self,
        line: &str,
        input: &str,
        env: &dyn Fn(&str) -> Option<String>,
        now_ms: i64,
        width: Option<u16>,
    ) -> Ran {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let whose = WHOSE.into();
        let (input, out_to, err_to) = (&mut input.as_bytes(), &mut out, &mut err);
        let mut terminal = Terminal { input, out: out_to, err: err_to, env, now_ms, whose, width };
        let status = run(self.arguments(line), &mut terminal);
        Ran { status, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
    }

    fn arguments(&self, line: &str) -> Vec<String> {
        let config = self.path("tollgate.toml").display().to_string();
        let words = line.split_whitespace().map(String::from);
        ["tollgate".to_string()].into_iter().chain(words).chain(["-c".into(), config]).collect()
    }

    /// Runs it, expects success, and reads standard output as one JSON object a line.
    fn json(&self, line: &str) -> Vec<Value> {
        self.ok(line).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.status, 0, "{line}: {ran:?}");
        ran.out
    }

    /// Runs it and expects this status, and these words on standard error.
    fn fails(&self, line: &str, status: u8, words: &[&str]) {
        let ran = self.run(line);
        assert_eq!(ran.status, status, "{line}: {ran:?}");
        for word in words {
            assert!(ran.err.contains(word), "{line}: {word:?} is not in {}", ran.err);
        }
    }
}

fn keys_of(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    super::args::Command::command().debug_assert();
}

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::new();
    let help = place.ok("--help");
    for command in [
        "serve", "demo", "check", "key", "user", "upstream", "price", "log", "usage", "secret", "ledger", "explain",
        "import",
    ] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
    }
    assert!(place.ok("--version").starts_with("tollgate "));
    assert!(place.ok("key create --help").contains("--quota-usd <USD>"));
}

#[test]
fn a_wrong_command_line_is_status_2() {
    let place = Place::new();
    for (line, word) in [
        ("", "Usage"),
        ("keys", "key"),
        ("key create", "<NAME>"),
        ("key create a --quota-usd x", "such as `5`"),
        ("key create a --quota-usd -1", "--unlimited"),
        ("key create a --quota-usd 1 --unlimited", "cannot be used with"),
        ("key create a --expires soon", "`30d`"),
        ("key create a --rpm 0", "whole number from 1"),
        ("key create a --tpm -1", "--tpm"),
        ("key create a --models a,,b", "commas between"),
        ("key set a", "nothing to change"),
        ("key set a --user x --no-user", "cannot be used with"),
        ("log list --since yesterday", "`30d`"),
        ("log list --limit many", "--limit"),
        ("usage --by color", "[possible values: key, user, model, upstream, day]"),
        ("price set m --input 1", "--output"),
        ("price set m --input -1 --output 1", "not negative"),
        ("price explain m --input 1 --cached-input 2", "parts of it"),
    ] {
        place.fails(line, 2, &[word]);
    }
}

#[test]
fn a_wrong_config_file_is_status_2_with_places() {
    let place = Place::new();
    place.write("tollgate.toml", &CONFIG.replace("[store]", "[stoer]"));
    for line in ["key list", "log list", "usage", "ledger verify", "price list", "upstream list", "check"] {
        place.fails(line, 2, &["tollgate.toml:2:2: stoer: unknown key", "did you mean `store`?"]);
    }
    std::fs::remove_file(place.path("tollgate.toml")).unwrap();
    place.fails("key list", 2, &["tollgate.toml: cannot be read"]);
}

#[test]
fn key_commands_do_not_need_the_providers_keys() {
    let place = Place::new();
    place.write("tollgate.toml", &CONFIG.replace("MAIN_KEY", "NOT_SET"));
    place.ok("key create a --json");
    place.ok("log list");
    place.fails("check", 2, &["environment variable NOT_SET is not set"]);
    assert_eq!(place.json("upstream list --json")[0]["has_key"], true);
    // What else is wrong with upstreams is said.
    place.write("tollgate.toml", &format!("{}\nwieght = 1\n", CONFIG.replace("MAIN_KEY", "NOT_SET")));
    place.fails("upstream list", 2, &["upstream[0].wieght"]);
    place.write("tollgate.toml", &CONFIG.replace("api_key", "# api_key"));
    assert_eq!(place.json("upstream list --json")[0]["has_key"], false);
}

/// Somebody reads a few bytes and goes: `tollgate key list | head -c 10`.
struct Closed(usize);

impl Write for Closed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let written = bytes.len().min(self.0);
        self.0 -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a command line whose output goes nowhere, in one way or the other: its status, and what it said.
fn run_unheard(place: &Place, line: &str, out: &mut dyn Write) -> (u8, String) {
    let mut err = Vec::new();
    let env = |_: &str| Some("x".to_string());
    let mut out = io::BufWriter::new(out);
    let mut terminal = Terminal {
        input: &mut io::empty(),
        out: &mut out,
        err: &mut err,
        env: &env,
        now_ms: NOW_MS,
        whose: WHOSE.into(),
        width: None,
    };
    let status = run(place.arguments(line), &mut terminal);
    (status, String::from_utf8(err).unwrap())
}

#[test]
fn a_secret_that_cannot_be_shown_is_a_failure_that_says_the_way_out() {
    let place = Place::new();
    user::somebody(&place, "ann", true);
    place.ok("key create there");
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for (line, way_out) in [
        ("key create a", "`tollgate key rotate a`"),
        ("key create b --json", "`tollgate key rotate b`"),
        ("key rotate there", "`tollgate key rotate there`"),
        ("key rotate there --json", "`tollgate key rotate there`"),
        ("user password ann", "`tollgate user password ann`"),
        ("user password ann --json", "`tollgate user password ann`"),
    ] {
        for (round, out) in [&mut Closed(0) as &mut dyn Write, &mut Closed(10), &mut full()].into_iter().enumerate() {
            let line = if line.starts_with("key create") {
                line.replace("create ", &format!("create {round}-"))
            } else {
                line.into()
            };
            let (status, said) = run_unheard(&place, &line, out);
            let way_out = way_out.replace("rotate a", &format!("rotate {round}-a"));
            let way_out = way_out.replace("rotate b", &format!("rotate {round}-b"));
            assert_eq!(status, 1, "{line}: {said}");
            assert!(said.contains("cannot write the output") && said.contains(&way_out), "{line}: {said}");
        }
    }
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let place = Place::new();
    place.ok("key create a --json");
    place.ok("key create b --json");
    place.ok("price set gpt-4o --input 1 --output 2");
    for line in [
        "key list",
        "key list --json",
        "key show a",
        "price list",
        "price list --json",
        "upstream list",
        "check",
        "--help",
    ] {
        for open in [0, 10] {
            let mut err = Vec::new();
            let env = |_: &str| Some("x".to_string());
            let mut terminal = Terminal {
                input: &mut io::empty(),
                out: &mut Closed(open),
                err: &mut err,
                env: &env,
                now_ms: NOW_MS,
                whose: WHOSE.into(),
                width: None,
            };
            assert_eq!(run(place.arguments(line), &mut terminal), 0, "{line}");
            assert!(err.is_empty(), "{line}: {}", String::from_utf8_lossy(&err));
        }
    }
}

#[test]
fn upstreams_are_listed_without_their_keys() {
    let place = Place::new();
    let text = place.ok("upstream list");
    assert!(
        text.contains("main") && text.contains("https://api.openai.com/v1") && text.contains("fast (gpt-4o-mini)"),
        "{text}"
    );
    let rows = place.json("upstream list --json");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["models"][1]["upstream_model"], "gpt-4o-mini");
    assert_eq!(rows[0]["has_key"], true);
    assert!(!text.contains("canary") && !rows[0].to_string().contains("canary"));
    place.write("tollgate.toml", "");
    let empty = place.run("upstream list");
    assert!(empty.out.is_empty() && empty.err.contains("no upstreams"));
}
