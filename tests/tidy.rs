//! The architecture's rules, kept by reading the sources: who may know whom (`map`), how long files and functions are, and
//! what must not stand in them.

#[path = "tidy/map.rs"]
mod map;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files of one idea each.
const FILE_LINES_MAX: usize = 600;
/// Functions that can be read at once.
const FUNCTION_LINES_MAX: usize = 70;

/// Words that say nothing, alone or in a name, one of it or many.
const EMPTY_WORDS: [&str; 7] = ["manager", "helper", "util", "handler", "service", "data", "info"];
/// Others' names for things that have no other: a scheme of URLs, what providers call what a request pays for.
const NAMES_OF_OTHERS: [&str; 2] = ["data_url", "ServiceTier"];

struct Source {
    path: PathBuf,
    text: String,
    /// It is declared as a module of tests by the file above it.
    is_for_tests: bool,
}

impl Source {
    /// The top-level module it belongs to: `proxy` for `src/proxy/route.rs` and `src/proxy.rs`.
    fn module(&self) -> Option<String> {
        let inside = self.path.strip_prefix(root().join("src")).ok()?;
        let first = inside.components().next()?.as_os_str().to_string_lossy().into_owned();
        Some(first.trim_end_matches(".rs").to_owned())
    }

    /// The source without its unit tests and without comments.
    fn code(&self) -> String {
        let lines = product_lines(&self.text).into_iter().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn is_test(&self) -> bool {
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let inside = self.path.strip_prefix(root()).unwrap_or(&self.path);
        self.is_for_tests
            || name == "tests"
            || inside.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "benches" | "fuzz")))
    }
}

/// What is not for tests alone, by indentation: an item ends where the formatter puts its end under its beginning.
fn product_lines(text: &str) -> Vec<&str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut kept, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        if !TESTS_ONLY.iter().any(|attribute| line.trim_start().starts_with(attribute)) {
            kept.push(line);
            continue;
        }
        lines.by_ref().find(|end| indent(end) == indent(line) && end.ends_with([';', ',', '}']));
    }
    kept
}

/// How what stands above an item begins that is compiled for tests alone.
const TESTS_ONLY: [&str; 2] = ["#[cfg(test)]", "#[cfg(all(test,"];

/// Where the modules lie that this file declares for tests alone, without their ending.
fn modules_for_tests(source: &Source) -> Vec<PathBuf> {
    let stem = source.path.file_stem().unwrap_or_default();
    let folder = match stem.to_str() {
        Some("mod" | "lib" | "main") => source.path.with_file_name(""),
        _ => source.path.with_extension(""),
    };
    let after = source.text.split(TESTS_ONLY[0]).skip(1).filter_map(|after| after.strip_prefix('\n'));
    let declared = after.filter_map(|after| after.lines().next()?.strip_suffix(';')?.split_once("mod "));
    declared.map(|(_, name)| folder.join(name)).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["src", "plugins", "tests", "benches", "deploy"] {
        let before = found.len();
        collect(&root().join(folder), &mut found);
        assert!(found.len() > before, "{folder}: the sources are where they are looked for");
    }
    let for_tests: Vec<PathBuf> = found.iter().flat_map(modules_for_tests).collect();
    for source in &mut found {
        let module = source.path.with_extension("");
        source.is_for_tests = for_tests.iter().any(|declared| module.starts_with(declared));
    }
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if entry.file_name() != "target" {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            found.push(Source { path, text, is_for_tests: false });
        }
    }
}

fn assert_none(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// Whether a line of code names this path: `use` or inline, not a part of a longer word.
fn names(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        !before.is_some_and(|c| part_of_word(c) || c == ':') && after == Some(':')
            || code[at..].starts_with(path) && before == Some(' ') && matches!(after, Some(';'))
    })
}

#[test]
fn fields_of_our_own_in_answers_are_named_in_one_place() {
    // What a page's script may read is made of that list.
    let is_list = |source: &Source| source.path.ends_with("plugins/api/src/answer_fields.rs");
    let named = ["HeaderName::from_static(\"x-tollgate-", "HeaderName::from_static(\"x-ratelimit-"];
    let others = sources().into_iter().filter(|source| !source.is_test() && !is_list(source));
    let broken = others.filter(|source| named.iter().any(|named| source.code().contains(named)));
    assert_none(broken.map(|source| source.path.display().to_string()).collect());
}

#[test]
fn only_the_store_knows_sql() {
    let mut broken = Vec::new();
    for source in sources() {
        let Some(module) = source.module() else { continue };
        if module != "store" && (names(&source.code(), "rusqlite") || names(&source.code(), "r2d2")) {
            broken.push(format!("{}: only `store` knows SQL", source.path.display()));
        }
    }
    assert_none(broken);
}

#[test]
fn the_data_plane_never_asks_the_store() {
    let mut broken = Vec::new();
    for source in sources() {
        if source.module().as_deref() == Some("proxy") && names(&source.code(), "crate::store") {
            broken.push(format!("{}: the data plane must not wait for the store", source.path.display()));
        }
    }
    assert_none(broken);
}

#[test]
fn plugins_know_the_contract_crate_alone() {
    let mut broken = Vec::new();
    for source in sources() {
        let inside = source.path.strip_prefix(root().join("plugins")).is_ok();
        if inside && (names(&source.text, "tollgate") || source.text.contains("pingora::")) {
            broken.push(format!("{}: a plugin knows `tollgate_plugin_api` alone", source.path.display()));
        }
    }
    assert_none(broken);
}

#[test]
fn files_hold_one_idea() {
    let mut broken = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", source.path.display()));
        }
    }
    assert_none(broken);
}

#[test]
fn functions_can_be_read_at_once() {
    let mut broken = Vec::new();
    // A test may be one long table of cases.
    for source in sources().into_iter().filter(|source| !source.is_test()) {
        for (name, lines) in functions(&source.text) {
            if lines > FUNCTION_LINES_MAX {
                broken
                    .push(format!("{}: fn {name}: {lines} lines, at most {FUNCTION_LINES_MAX}", source.path.display()));
            }
        }
    }
    assert_none(broken);
}

/// Functions and their lengths, by indentation: the formatter puts a function's end under its beginning.
fn functions(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let Some(name) = code.split_once("fn ").filter(|(before, _)| {
            before.is_empty()
                || before.split_whitespace().all(|word| {
                    matches!(word, "pub" | "async" | "const" | "unsafe" | "extern") || word.starts_with("pub(")
                })
        }) else {
            continue;
        };
        let declared = lines[at..].iter().position(|line| line.ends_with(';')).unwrap_or(usize::MAX);
        let opened = lines[at..].iter().position(|line| line.ends_with('{')).unwrap_or(usize::MAX);
        if declared < opened {
            continue;
        }
        let end = lines[at..].iter().position(|line| *line == format!("{}}}", " ".repeat(indent)));
        if let Some(end) = end {
            let name: String = name.1.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((name, end + 1));
        }
    }
    found
}

#[test]
fn the_measure_of_functions_works() {
    let found = functions(
        "trait T {\n    fn t(&self);\n}\nimpl A {\n    pub(super) async fn b() {\n        x();\n    }\n}\nfn c() {\n}\n",
    );
    assert_eq!(found, [("b".to_owned(), 3), ("c".to_owned(), 2)]);
}

#[test]
fn what_is_for_tests_alone_is_told_from_the_product() {
    let text = "a\n#[cfg(test)]\nmod faulty {\n    b\n}\nimpl C {\n    #[cfg(test)]\n    fn d(\n        e: E,\n    ) {\n    }\n    f\n}\n\
                #[cfg(test)]\nmod by_test;\ng\n";
    assert_eq!(product_lines(text), ["a", "impl C {", "    f", "}", "g"]);
    let source = |path: &str| Source { path: path.into(), text: text.into(), is_for_tests: false };
    assert_eq!(modules_for_tests(&source("x/mod.rs")), [PathBuf::from("x/by_test")]);
    assert_eq!(modules_for_tests(&source("x/y.rs")), [PathBuf::from("x/y/by_test")]);
}

#[test]
fn files_modules_and_types_have_names_that_say_something() {
    let mut broken = Vec::new();
    for source in sources() {
        let inside = source.path.strip_prefix(root()).unwrap_or(&source.path).with_extension("");
        let files = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let types = source.text.lines().filter_map(named_type).map(str::to_owned);
        for name in files.chain(types).filter(|name| says_nothing(name)) {
            broken.push(format!("{}: `{name}` says nothing", source.path.display()));
        }
    }
    assert_none(broken);
}

/// The name that a line gives to a module or to a type.
fn named_type(line: &str) -> Option<&str> {
    // (What a trait of others' calls a type stands further in.)
    let line = Some(line).filter(|line| !line.trim_start().starts_with("type ") || line.starts_with("type "))?;
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    matches!(words.next()?, "mod" | "struct" | "enum" | "trait" | "type").then_some(())?;
    words.next()?.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

fn says_nothing(name: &str) -> bool {
    let mut apart = String::new();
    for c in name.chars() {
        if c.is_uppercase() || !c.is_alphanumeric() {
            apart.push(' ');
        }
        apart.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
    }
    let is_empty = |word: &str| EMPTY_WORDS.contains(&word) || EMPTY_WORDS.contains(&word.trim_end_matches('s'));
    !NAMES_OF_OTHERS.contains(&name) && apart.split_whitespace().any(is_empty)
}

#[test]
fn the_judge_of_names_works() {
    for name in ["data", "key_utils", "RouteManager", "Infos", "event-handlers"] {
        assert!(says_nothing(name), "{name}");
    }
    for name in ["database", "informational", "serviced", "data_url", "Route"] {
        assert!(!says_nothing(name), "{name}");
    }
    assert_eq!(named_type("    pub(crate) struct Data<'a>(&'a str);"), Some("Data"));
    assert_eq!([named_type("let data = 1;"), named_type("    type Data = Bytes;")], [None, None]);
}

/// A build of one test binary sees what that one leaves: the compiler cannot say it.
#[test]
fn what_tests_share_is_used() {
    let sources = sources();
    let texts = sources.iter().filter(|source| source.is_test()).map(|source| source.text.as_str());
    let mut uses = BTreeMap::<&str, usize>::new();
    for word in texts.flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_')) {
        *uses.entry(word).or_default() += 1;
    }
    let mut broken = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with(root().join("tests/support"))) {
        let shared = source.text.lines().filter_map(|line| line.trim_start().strip_prefix("pub(crate) "));
        for mut words in shared.map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')) {
            let named = words.find(|word| !matches!(*word, "fn" | "async" | "const" | "struct" | "enum" | "mod"));
            if named.is_some_and(|name| uses[name] < 2) {
                broken.push(format!("{}: nobody uses `{}`", source.path.display(), named.unwrap_or_default()));
            }
        }
    }
    assert_none(broken);
}

#[test]
fn nothing_is_left_open_and_no_machine_is_named() {
    // Put together here, so that this file does not find itself.
    let words =
        [["to", "do!("].concat(), ["unimple", "mented!("].concat(), ["db", "g!("].concat(), ["FIX", "ME"].concat()];
    let folders = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat()];
    let mut broken = Vec::new();
    for source in sources() {
        for word in words.iter().chain(&folders).filter(|word| source.text.contains(word.as_str())) {
            broken.push(format!("{}: {word}", source.path.display()));
        }
    }
    assert_none(broken);
}

#[test]
fn money_is_never_a_float() {
    let mut broken = Vec::new();
    for source in sources() {
        let Some(module) = source.module() else { continue };
        if matches!(module.as_str(), "price" | "ledger" | "keyring" | "store") && !source.is_test() {
            let code = source.code();
            for float in ["f32", "f64"] {
                if code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == float) {
                    broken.push(format!("{}: {float}", source.path.display()));
                }
            }
        }
    }
    assert_none(broken);
}

#[test]
fn the_top_level_is_the_fixed_one() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "src",
        "plugins",
        "pricing.toml",
        "db",
        "benches",
        "tests",
        "deploy",
        "fuzz",
        "target",
        "data",
    ];
    let mut unknown = BTreeMap::new();
    for entry in fs::read_dir(root()).expect("the project folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !allowed.contains(&name.as_str()) {
            unknown.insert(name, entry.path());
        }
    }
    assert!(unknown.is_empty(), "unknown at the top level: {:?}", unknown.keys());
}
