//! What `tollgate import` writes loads, and no variable of it is somebody else's.

use super::import::{database, import, names};
use super::*;
use std::os::unix::fs::PermissionsExt;

/// A database of One API with these channels: name, key, weight, base URL, group, mapping.
fn channels(place: &Place, rows: &[(&str, &str, i64, &str, &str, &str)]) {
    let values: Vec<String> = rows
        .iter()
        .map(|(name, key, weight, url, group, mapping)| {
            format!("(1, '{key}', 1, '{name}', {weight}, '{url}', 'm', '{group}', '{mapping}', 0)")
        })
        .collect();
    let sql = format!(
        r#"CREATE TABLE channels (type INTEGER, key TEXT, status INTEGER, name TEXT, weight INTEGER, base_url TEXT, models TEXT,
            "group" TEXT, model_mapping TEXT, priority INTEGER);
        INSERT INTO channels VALUES {};"#,
        values.join(", ")
    );
    let _ = std::fs::remove_file(place.path("one-api.db"));
    database(place, "one-api.db", &sql);
}

/// Runs a command with these environment variables.
fn run_in(place: &Place, line: &str, environment: &[(&str, &str)]) -> Ran {
    let env = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    place.run_with(line, "", &env, NOW_MS, None)
}

fn rows_of(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_variable_is_nobody_elses() {
    let place = Place::new();
    let config = CONFIG.replace("MAIN_KEY", "OPENAI_API_KEY").replace("[store]", "# ${PROXY_API_KEY}\n[store]");
    place.write("tollgate.toml", &config);
    place.write("keys.env", "export PROXY_API_KEY_2=x\nOWN_API_KEY=theirs\nSAME_API_KEY='sk-same'\n");
    channels(
        &place,
        &[
            ("OpenAI", "sk-reseller", 1, "https://reseller.example", "default", ""),
            ("proxy", "sk-proxy", 1, "", "default", ""),
            ("own", "sk-own", 1, "", "default", ""),
            ("same", "sk-same", 1, "", "default", ""),
            ("here", "sk-here", 1, "", "default", ""),
        ],
    );
    let line = format!(
        "import one-api {} --json --env-file {}",
        place.path("one-api.db").display(),
        place.path("keys.env").display()
    );
    let environment = [("OPENAI_API_KEY", "sk-mine"), ("HERE_API_KEY", "sk-other")];
    let rows = rows_of(&run_in(&place, &line, &environment));
    let expected = ["OPENAI_API_KEY_2", "PROXY_API_KEY_3", "OWN_API_KEY_2", "SAME_API_KEY", "HERE_API_KEY_2"];
    assert_eq!(rows.last().unwrap()["environment"], serde_json::json!(expected));
    let text = place.read("tollgate.toml");
    assert_eq!(text.matches("${OPENAI_API_KEY}").count(), 1, "{text}");
    let env = place.read("keys.env");
    assert!(env.contains("\nOPENAI_API_KEY_2='sk-reseller'\n") && !env.contains("\nOPENAI_API_KEY="), "{env}");
    assert_eq!(env.matches("SAME_API_KEY=").count(), 1, "what is there already is not said twice: {env}");
}

#[test]
fn a_variable_that_litellm_names_is_not_made_for_another_key_and_goes_to_no_other_host() {
    let place = Place::new();
    place.write("tollgate.toml", &CONFIG.replace("MAIN_KEY", "TAKEN_KEY"));
    place.write(
        "c.yaml",
        r#"
model_list:
  - {model_name: a, litellm_params: {model: openai/a, api_key: sk-literal}}
  - {model_name: a, litellm_params: {model: openai/a, api_key: os.environ/OPENAI_API_KEY}}
  - {model_name: b, litellm_params: {model: openai/b, api_key: os.environ/OPENAI_API_KEY, weight: 2}}
  - {model_name: c, litellm_params: {model: openai/c, api_key: os.environ/TAKEN_KEY}}
  - {model_name: d, litellm_params: {model: openai/d, api_key: os.environ/TAKEN_KEY, api_base: "https://reseller.example/v1"}}
  - {model_name: e, litellm_params: {model: gpt-e, custom_llm_provider: sagemaker, api_key: k}}
  - {model_name: f, litellm_params: {model: openai/f, api_key: 7}}
"#,
    );
    let line = format!("import litellm {} --json", place.path("c.yaml").display());
    let rows = rows_of(&run_in(&place, &line, &[("TAKEN_KEY", "sk-mine")]));
    let expected = ["OPENAI_API_KEY_2", "OPENAI_API_KEY", "TAKEN_KEY"];
    assert_eq!(rows.last().unwrap()["environment"], serde_json::json!(expected));
    let left = |name: &str| {
        let row = rows.iter().find(|row| row["what"] == "upstream" && row["name"] == name && row["taken"] == false);
        row.unwrap_or_else(|| panic!("{name}: {rows:?}"))["why"].as_str().unwrap().to_owned()
    };
    assert!(left("openai-5").contains("TAKEN_KEY") && left("openai-5").contains("another host"), "{rows:?}");
    assert!(left("e").contains("sagemaker"), "{rows:?}");
    assert!(left("f").contains("`api_key`"), "{rows:?}");
    let text = place.read("tollgate.toml");
    assert!(!text.contains("reseller") && text.matches("${TAKEN_KEY}").count() == 2, "{text}");
}

#[test]
fn what_would_not_load_is_left_and_what_is_written_loads() {
    let rows = [
        ("官方 OpenAI", "sk-1", 1, "", "default", ""),
        ("my channel", "sk-2", 1, "", "default", ""),
        ("my/channel", "sk-3", 1, "", "default", ""),
        ("官方", "sk-4", 1, "", "default", ""),
        ("heavy", "sk-5", 5_000_000, "", "default", ""),
        ("vip", "sk-6", 1, "", "vip 用户", ""),
        ("bare", "sk-7", 1, "api.foo.example", "default", ""),
        ("mapped", "sk-8", 1, "", "default", r#"{"m": ""}"#),
        ("spaced", "sk 9", 1, "", "default", ""),
        ("dollar", "sk-10", 1, "", "default", r#"{"m": "${HOME}"}"#),
    ];
    let place = Place::new();
    channels(&place, &rows);
    let before = place.read("tollgate.toml");
    let taken = ["OpenAI", "my-channel", "my-channel-2", "openai", "dollar"];
    for more in ["--dry-run", "", "--dry-run"] {
        let written = place.read("tollgate.toml") != before;
        let rows = import(&place, "one-api", "one-api.db", more);
        if written {
            assert_eq!(names(&rows, "upstream", true), [""; 0], "twice is once");
            break;
        }
        assert_eq!(names(&rows, "upstream", true), taken, "{more}");
        let why = |name: &str| {
            let row = rows.iter().find(|row| row["name"] == name && row["taken"] == false);
            row.unwrap_or_else(|| panic!("{name}: {rows:?}"))["why"].as_str().unwrap()
        };
        for (name, words) in [
            ("heavy", "weight: the number is too large, expected"),
            ("vip", "groups"),
            ("bare", "base_url: the scheme is missing"),
            ("mapped", "models[0].upstream_model: is empty, expected"),
            ("spaced", "api_key: has characters"),
        ] {
            assert!(why(name).contains(words), "{name}: {}", why(name));
        }
        let how = rows.iter().find(|row| row["name"] == "OpenAI").unwrap()["how"].as_str().unwrap();
        assert!(how.contains("官方 OpenAI"), "{how}");
    }
    let known = |name: &str| Some(format!("value-of-{name}"));
    let checked = place.run_with("check", "", &known, NOW_MS, None);
    assert_eq!(checked.status, 0, "{checked:?}");
    let listed = place.run_with("upstream list", "", &known, NOW_MS, None);
    assert!(listed.out.contains("${HOME}"), "a name is a name, no variable: {}", listed.out);
}

#[test]
fn a_config_file_that_is_wrong_already_stays_as_it_is() {
    let place = Place::new();
    channels(&place, &[("more", "sk-1", 1, "", "default", "")]);
    let env_file = place.path("keys.env");
    let line = format!("import one-api {} --env-file {}", place.path("one-api.db").display(), env_file.display());
    for (wrong, words) in [
        (CONFIG.replace("gpt-4o\"", " gpt-4o\""), "upstream[0].models[0]: cannot be the name of a model"),
        (format!("{CONFIG}[plugins.cors]\nallowed_origins = 7\n"), "plugins.cors.allowed_origins"),
    ] {
        place.write("tollgate.toml", &wrong);
        for more in ["", " --dry-run"] {
            place.fails(&format!("{line}{more}"), 2, &[words]);
        }
        assert_eq!((place.read("tollgate.toml"), env_file.exists()), (wrong, false));
    }
    // What is missing is only the environment of who serves: that is no mistake.
    place.write(
        "tollgate.toml",
        &CONFIG.replace("MAIN_KEY", "NOT_SET").replace("[store]", "[server]\nlisten = [\"${ADDRESS}\"]\n[store]"),
    );
    assert_eq!(place.run(&line).status, 0);
    assert!(place.read("tollgate.toml").contains("${MORE_API_KEY}"));
}

#[test]
fn the_env_file_comes_first_and_keeps_its_lines() {
    let place = Place::new();
    channels(&place, &[("first", "sk-1", 1, "", "default", "")]);
    let line = |file: &str| {
        format!(
            "import one-api {} --json --env-file {}",
            place.path("one-api.db").display(),
            place.path(file).display()
        )
    };
    let before = place.read("tollgate.toml");
    place.write("file", "");
    let ran = place.run(&line("file/keys.env"));
    assert_eq!(place.read("tollgate.toml"), before, "what has no key yet is not configured");
    assert!(ran.status != 0 && ran.err.contains("file/keys.env"), "{ran:?}");

    place.write("keys.env", "LAST=zzz");
    std::fs::set_permissions(place.path("keys.env"), PermissionsExt::from_mode(0o640)).unwrap();
    place.ok(&line("keys.env"));
    assert_eq!(place.read("keys.env"), "LAST=zzz\nFIRST_API_KEY='sk-1'\n");
    let mode = |file: &str| std::fs::metadata(place.path(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("keys.env"), 0o640, "it stays whose it was");
    place.write("tollgate.toml", &before);
    place.ok(&line("new.env"));
    assert_eq!((place.read("new.env").as_str(), mode("new.env")), ("FIRST_API_KEY='sk-1'\n", 0o600));
    // Again, as after a run that did not come to its end: the same line is not written twice.
    place.write("tollgate.toml", &before);
    place.ok(&line("new.env"));
    assert_eq!(place.read("new.env"), "FIRST_API_KEY='sk-1'\n");
}
