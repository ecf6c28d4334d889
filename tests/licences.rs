//! Every dependency is pinned, checked and of one registry, and its licence one that the project may be shipped with. Reads what cargo knows, offline: the packages of
//! this platform, which are there because the test was built from them.

use serde_json::Value;
use std::process::Command;

/// Licences that ask for no more than their text. Weak copyleft (MPL-2.0) touches only its own files.
const ALLOWED: [&str; 15] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unlicense",
    "CC0-1.0",
    "0BSD",
    "Unicode-3.0",
    "MPL-2.0",
    "CDLA-Permissive-2.0",
    "bzip2-1.0.6",
];

/// Whether an SPDX expression can be satisfied: every part joined by AND, at least one joined by OR.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace(" / ", " OR ").replace('/', " OR ");
    let expression = expression.trim();
    let bracketed = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    if let Some(inner) = bracketed.filter(|inner| !inner.contains(['(', ')'])) {
        return is_allowed(inner);
    }
    for (joint, all) in [(" AND ", true), (" OR ", false)] {
        let parts = split_outside_brackets(expression, joint);
        if parts.len() > 1 {
            let mut allowed = parts.iter().map(|part| is_allowed(part));
            return if all { allowed.all(|allowed| allowed) } else { allowed.any(|allowed| allowed) };
        }
    }
    ALLOWED.contains(&expression)
}

fn split_outside_brackets<'a>(text: &'a str, joint: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= start && text[at..].starts_with(joint) => {
                parts.push(&text[start..at]);
                start = at + joint.len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The platform that this was built on, as `rustc -vV` names it.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.expect("rustc names its host").to_owned()
}

#[test]
fn every_dependency_may_be_shipped() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &host()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    assert!(packages.len() > 100, "the whole tree is there");
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(is_allowed))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "\n{}", refused.join("\n"));
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for (expression, allowed) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND GPL-2.0", false),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only", false),
        ("Apache-2.0 WITH LLVM-exception", true),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
}

/// What of a `Cargo.lock` cannot be had again and checked: packages of no registry, of another one, or without a checksum.
fn unpinned(lock: &str) -> Vec<String> {
    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
    let lock: toml::Table = lock.parse().expect("TOML");
    let packages = lock["package"].as_array().expect("a list of packages");
    let is_ours = |name: &str| name.starts_with("tollgate");
    let is_pinned = |package: &&toml::Value| match package.get("source").and_then(toml::Value::as_str) {
        // Of a path: the workspace's own.
        None => package["name"].as_str().is_some_and(is_ours),
        Some(source) => {
            let checksum = package.get("checksum").and_then(toml::Value::as_str).unwrap_or_default();
            source == REGISTRY && checksum.len() == 64
        }
    };
    packages.iter().filter(|package| !is_pinned(package)).map(|package| package["name"].to_string()).collect()
}

#[test]
fn every_dependency_is_pinned_and_of_one_registry() {
    let lock = include_str!("../Cargo.lock");
    assert_eq!(unpinned(lock), Vec::<String>::new());
    // The measure works.
    let package = |rest: &str| format!("{lock}\n[[package]]\nname = \"x\"\nversion = \"1.0.0\"\n{rest}\n");
    let sum = "0".repeat(64);
    for rest in [
        String::new(),
        "source = \"git+https://github.com/x/x?rev=1#1\"".to_owned(),
        format!("source = \"registry+https://example.com/index\"\nchecksum = \"{sum}\""),
        "source = \"registry+https://github.com/rust-lang/crates.io-index\"".to_owned(),
    ] {
        assert_eq!(unpinned(&package(&rest)).len(), 1, "{rest}");
    }
}

#[test]
fn what_is_built_is_what_is_pinned() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        ".ci/run",
        ".github/workflows/ci.yml",
        ".github/workflows/release.yml",
        "benches/side_by_side/run",
        "deploy/Dockerfile",
        "deploy/dev",
    ];
    let mut built = 0;
    for file in files {
        let text = std::fs::read_to_string(root.join(file)).expect("a file of the project");
        let commands = ["build", "test", "bench", "run", "clippy", "install"].map(|verb| format!("cargo {verb} "));
        for line in text.lines().filter(|line| commands.iter().any(|command| line.contains(command.as_str()))) {
            let is_said = line.trim_start().starts_with(['#', '\'']) || line.contains("say \"");
            assert!(is_said || line.contains("--locked"), "{file}: {line}");
            built += u32::from(!is_said);
        }
    }
    assert!(built >= 8, "{built} commands that build");
}
