//! What `deploy/` says of the gateway is true: its metrics exist, its commands and paths too.

use crate::calls::{Wire, plain_chat, serving};
use crate::support::client::Request;
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::Provider;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use tollgate_plugin_api::RejectCode;

pub(super) fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs Prometheus' own checks in `deploy/`, with something to read. Where there is no promtool, CI fails, and nobody else:
/// `deploy/dev test` fetches it.
fn promtool(arguments: &[&str], input: &str) {
    let program = std::env::var_os("TOLLGATE_PROMTOOL").unwrap_or_else(|| "promtool".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy"));
    let mut running = match command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(running) => running,
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            eprintln!("skipped: there is no promtool");
            return;
        }
        Err(error) => panic!("promtool: {error}"),
    };
    running.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    let output = running.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// Every word of a text that looks like a metric's name, without what a histogram adds.
fn metric_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("tollgate_") || word.ends_with("_bucket"));
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

#[tokio::test]
async fn every_metric_of_the_dashboard_and_the_alerts_is_on_the_page() {
    let provider = Provider::always(Wire::Chat.answer(true)).await;
    // Each series shows once it has counted something: a price that is missing, more than was held, a refusal, a reload.
    let setup = Setup::new([Wire::Chat.upstream("u", &provider).models(r#"["m", "unpriced"]"#)])
        .set("plugins.access-log.output", "\"file\"")
        .set("plugins.access-log.path", "\"access.log\"")
        .prices("[[model]]\nname = \"m\"\nmax_output_tokens = 1000\ninput = 0\noutput = 2\n");
    let (gateway, key) = serving(&setup).await;
    let poor = gateway.key("poor", &["--quota-usd", "0.0003"]).await;
    let mut tiny = Wire::Chat.body("m", true);
    tiny["max_tokens"] = 1.into();
    let requests = [
        Wire::Chat.request(true).key(&key.key),
        Wire::Chat.request_for("unpriced", true).key(&key.key),
        Request::post("/v1/chat/completions", &tiny).key(&poor.key),
        plain_chat(false).key("junk"),
    ];
    for request in &requests {
        gateway.send(request).await;
    }
    gateway.signal("HUP");
    gateway.wait_records(3).await;
    crate::support::until("the reload", || gateway.said().contains("are in force").then_some(())).await;
    let page = gateway.metrics().await;
    for file in ["grafana.json", "alerts.yml", "OPERATIONS.md"] {
        let names = metric_names(&deployed(file));
        assert!(names.len() >= 3, "{file}: {names:?}");
        for name in names {
            assert!(page.contains(&format!("# TYPE {name} ")), "{file}: there is no metric {name} in\n{page}");
        }
    }
    promtool(&["check", "metrics"], &page);
    gateway.finish(&[&key, &poor]).await;
}

#[test]
fn alert_rules_fire_when_they_should() {
    promtool(&["check", "rules", "alerts.yml"], "");
    promtool(&["test", "rules", "alerts_test.yml"], "");
    // None is left out there.
    let (alerts, tests) = (deployed("alerts.yml"), deployed("alerts_test.yml"));
    for name in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let of_it = || tests.split("alertname: ").skip(1).filter(|test| test.starts_with(name));
        let fires =
            of_it().filter(|test| test.split("eval_time").next().is_some_and(|test| test.contains("exp_alerts")));
        assert!(fires.count() > 0 && of_it().count() > 1, "{name}");
    }
}

#[test]
fn the_files_can_be_read_by_those_they_are_for() {
    let dashboard: serde_json::Value = serde_json::from_str(&deployed("grafana.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(panels.len() >= 10);
    for panel in panels {
        assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{panel}");
    }
    let alerts: serde_yaml::Value = serde_yaml::from_str(&deployed("alerts.yml")).expect("YAML");
    let rules = alerts["groups"][0]["rules"].as_sequence().expect("rules");
    assert!(rules.len() >= 11);
    for rule in rules {
        for key in ["alert", "expr"] {
            assert!(rule[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {rule:?}");
        }
        assert!(rule["annotations"]["summary"].is_string() && rule["labels"]["severity"].is_string(), "{rule:?}");
    }
    let unit = deployed("tollgate.service");
    let wrong = unit.lines().find(|line| !line.is_empty() && !line.starts_with(['#', '[']) && !line.contains('='));
    assert_eq!(wrong, None, "a unit is sections of KEY=VALUE");
}

/// The values of a key in the unit, in their order.
pub(super) fn unit_values(key: &str) -> Vec<String> {
    let unit = deployed("tollgate.service");
    let values = unit.lines().filter_map(|line| line.split_once('='));
    values.filter(|(name, _)| *name == key).map(|(_, value)| value.to_owned()).collect()
}

/// The folders that the unit lets the service write to.
fn writable_folders() -> Vec<String> {
    let places = [("StateDirectory", "/var/lib"), ("LogsDirectory", "/var/log")];
    let folders = places
        .into_iter()
        .flat_map(|(key, parent)| unit_values(key).into_iter().map(move |name| format!("{parent}/{name}/")));
    folders.collect()
}

#[test]
fn what_the_service_writes_lies_where_the_unit_lets_it_write() {
    assert_eq!(unit_values("ProtectSystem"), ["strict"]);
    let folders = writable_folders();
    assert_eq!(folders.len(), 2, "{folders:?}");
    let text = deployed("OPERATIONS.md");
    let (_, block) = text.split_once("```toml\n").expect("the installation's paths");
    let block = block.split("```").next().expect("its end");
    let config: toml::Value = toml::from_str(block).expect("TOML");
    for (table, key) in [("pricing", "file"), ("store", "url"), ("ledger", "journal_dir")] {
        let path = config[table][key].as_str().expect("a path").trim_start_matches("sqlite:");
        assert!(folders.iter().any(|folder| path.starts_with(folder)), "{table}.{key}: {path} is not in {folders:?}");
        // Also the file that it is replaced by.
        assert_eq!(config[table].as_table().expect("a table").len(), 1);
    }
    let log = config["plugins"]["access-log"]["path"].as_str().expect("a path");
    assert!(folders.iter().any(|folder| log.starts_with(folder)), "{log}");
    // What is installed there is the service's own.
    assert!(text.contains("install -m 0640 -o tollgate -g tollgate pricing.toml /var/lib/tollgate/"), "{text}");
}

/// Groups of calls that the unit denies, each with those in it that the service makes all the same
/// (`systemd-analyze syscall-filter GROUP`), and what for.
const DENIED: [(&str, &[(&str, &str)]); 2] =
    [("@privileged", &[]), ("@resources", &[("setpriority", "threads of the console step back")])];

#[test]
fn the_unit_lets_the_service_make_the_calls_that_it_needs() {
    let filters = unit_values("SystemCallFilter");
    // The later line holds.
    let last = |is: &dyn Fn(&str) -> bool| filters.iter().rposition(|filter| is(filter));
    assert_eq!(filters[0], "@system-service", "what is allowed is listed");
    let denies = filters.iter().filter_map(|filter| filter.strip_prefix('~')).flat_map(str::split_whitespace);
    assert_eq!(denies.collect::<Vec<_>>(), DENIED.map(|(group, _)| group));
    for (group, calls) in DENIED {
        let denied = last(&|filter| filter.strip_prefix('~').is_some_and(|filter| filter.contains(group)));
        for (call, what) in calls {
            let allowed = last(&|filter| filter.split_whitespace().any(|name| name == *call));
            assert!(allowed > denied, "{call}: {what}");
        }
    }
}

#[test]
fn nothing_is_released_that_has_not_passed_every_test() {
    let workflow = |name: &str| -> serde_yaml::Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows").join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_yaml::from_str(&text).expect("YAML")
    };
    let (ci, release) = (workflow("ci.yml"), workflow("release.yml"));
    assert!(ci["on"].as_mapping().expect("events").contains_key("workflow_call"), "others can ask for it");
    let steps = ci["jobs"]["test"]["steps"].as_sequence().expect("steps");
    assert!(steps.iter().any(|step| step["run"] == ".ci/run"), "{steps:?}");
    let asks = |job: &serde_yaml::Value| release["jobs"][job]["uses"] == "./.github/workflows/ci.yml";
    assert!(release["jobs"]["publish"]["needs"].as_sequence().expect("jobs").iter().any(asks));
    // And what is released, as a file or in an image, is what was optimised for it.
    let steps = release["jobs"]["build"]["steps"].as_sequence().expect("steps");
    let runs: String = steps.iter().filter_map(|step| step["run"].as_str()).collect::<Vec<_>>().join("\n");
    for text in [runs, deployed("Dockerfile")] {
        assert!(text.contains("deploy/dev release") && text.contains("target/released/tollgate"), "{text}");
        assert!(!text.contains("cargo build") && !text.contains("target/release/"), "{text}");
    }
}

/// The pieces of code in a text's lines: what stands between backticks, and the lines of shell blocks.
fn code(text: &str) -> Vec<String> {
    let (mut found, mut shell) = (Vec::new(), false);
    for line in text.lines() {
        if line.starts_with("```") {
            shell = line == "```sh";
        } else if shell {
            found.push(line.split('#').next().unwrap_or_default().trim().to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

#[test]
fn commands_and_codes_of_the_operations_are_those_there_are() {
    let text = deployed("OPERATIONS.md");
    let gateway = Gateway::prepare(&Setup::new([]));
    let mut commands = 0;
    for code in code(&text) {
        // Also behind `docker exec NAME` and the like.
        let Some(at) = code.find("tollgate ").filter(|at| code[..*at].ends_with([' ', '/']) || *at == 0) else {
            continue;
        };
        let words: Vec<&str> = code[at..].split_whitespace().skip(1).collect();
        let verbs = ["key", "user", "upstream", "price", "log", "ledger", "secret"];
        let count = if words.first().is_some_and(|verb| verbs.contains(verb)) { 2 } else { 1 };
        let is_verb = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
        let verb: Vec<&str> = words.iter().take(count).copied().take_while(is_verb).collect();
        if verb.len() < count {
            continue;
        }
        let help = gateway.run(&[&verb[..], &["--help"]].concat());
        let said = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.status.success(), "{code}: {}", String::from_utf8_lossy(&help.stderr));
        for flag in words.iter().map(|word| word.trim_matches(['[', ']'])).filter(|word| word.starts_with("--")) {
            assert!(said.contains(flag), "{code}: {flag} is not in\n{said}");
        }
        commands += 1;
    }
    assert!(commands > 15, "{commands}");
    for row in RejectCode::rows() {
        let line = format!("| `{}` {} |", row.code, row.status);
        assert!(text.contains(&line), "{line}");
    }
}
