//! What `deploy/` says of the gateway is true: its metrics exist, its commands and paths too.

use crate::calls::{Wire, plain_chat, serving};
use crate::support::client::Request;
use crate::support::gateway::Setup;
use crate::support::provider::Provider;
use std::collections::BTreeSet;
use std::path::Path;

fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
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
    for file in ["grafana.json", "alerts.yml"] {
        let names = metric_names(&deployed(file));
        assert!(names.len() >= 7, "{file}: {names:?}");
        for name in names {
            assert!(page.contains(&format!("# TYPE {name} ")), "{file}: there is no metric {name} in\n{page}");
        }
    }
    gateway.finish(&[&key, &poor]).await;
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
    assert!(rules.len() >= 8);
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
