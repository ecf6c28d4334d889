//! Who may know whom stands in `src/ARCHITECTURE.md`, "The map"; here it is held against the code, both ways.

use super::{assert_none, names, root, sources};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// Crates for which the map has a word.
const CRATES: [(&str, &str); 3] =
    [("Pingora", "pingora"), ("axum", "axum"), ("the console's crate", "tollgate_console")];
/// The map's word for the others under `plugins`, but for the contract, which everybody may know.
const PLUGIN_CRATES: &str = "the plugins' crates";
/// The contract, what stands in for the gateway in tests, and the web console's page.
const NO_PLUGINS: [&str; 3] = ["api", "doubles", "console"];
/// The map's word for modules that compute: no runtime, no clock, no randomness, no files.
const PURE: &str = "pure";
const NOT_PURE: [&str; 7] = ["tokio", "pingora", "rusqlite", "std::fs", "std::net", "std::time", "rand"];

/// What the column "may know" says of one module.
#[derive(Default)]
struct MayKnow {
    modules: BTreeSet<String>,
    /// Of crates, and [`PURE`].
    words: BTreeSet<String>,
}

impl MayKnow {
    /// Modules stand in backticks, reasons in brackets, a dash for nothing.
    fn read(cell: &str) -> Self {
        let mut read = Self::default();
        let parts = cell.split('(').map(|part| part.split_once(')').map_or(part, |(_reason, after)| after));
        for named in parts.collect::<String>().split(',').map(str::trim).filter(|named| *named != "–") {
            match named.strip_prefix('`').and_then(|named| named.strip_suffix('`')) {
                Some(module) => read.modules.insert(module.to_owned()),
                None => read.words.insert(named.to_owned()),
            };
        }
        read
    }
}

fn section() -> String {
    let page = fs::read_to_string(root().join("src/ARCHITECTURE.md")).expect("the page is there");
    let (_, section) = page.split_once("\n## The map\n").expect("it has a map");
    section.split("\n## ").next().unwrap_or_default().to_owned()
}

/// Every module of the library, with what it may know.
fn map() -> BTreeMap<String, MayKnow> {
    let mut rows = BTreeMap::new();
    for line in section().lines().skip_while(|line| !line.starts_with("|---")).skip(1) {
        let Some(row) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else { break };
        let [module, _, may_know] = row.split(" | ").collect::<Vec<_>>()[..] else { panic!("no three cells: {line}") };
        let before = rows.insert(module.trim_matches('`').to_owned(), MayKnow::read(may_know));
        assert!(before.is_none(), "{module} has two rows");
    }
    let library = fs::read_to_string(root().join("src/lib.rs")).expect("the library is there");
    let declared = library.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    let declared: BTreeSet<_> = declared.map(|module| module.trim_end_matches(';').to_owned()).collect();
    assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), declared, "the map's modules, and the library's");
    rows
}

/// What the code of each module names, and a file where it does; tests are left out.
fn named(look: impl Fn(&str) -> BTreeSet<String>) -> BTreeMap<String, BTreeMap<String, PathBuf>> {
    let mut named: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for source in sources().into_iter().filter(|source| !source.is_test()) {
        let Some(module) = source.module() else { continue };
        let found = look(&source.code()).into_iter().filter(|name| *name != module);
        let found: Vec<_> = found.map(|name| (name, source.path.clone())).collect();
        named.entry(module).or_default().extend(found);
    }
    named
}

/// Holds what the map says of each module against what its code names.
fn assert_agree<'a>(
    said: impl Iterator<Item = (&'a str, BTreeSet<&'a str>)>,
    named: &BTreeMap<String, BTreeMap<String, PathBuf>>,
) {
    let mut broken = Vec::new();
    for (module, said) in said {
        let named = named.get(module).expect("every module has code");
        for (name, path) in named.iter().filter(|(name, _)| !said.contains(name.as_str())) {
            broken.push(format!("{}: the map does not say that `{module}` knows {name:?}", path.display()));
        }
        for name in said.into_iter().filter(|name| !named.contains_key(*name)) {
            broken.push(format!("the map says that `{module}` knows {name:?}, and it does not"));
        }
    }
    assert_none(broken);
}

/// The modules that this code names by their paths from the crate's root; `""` for several in one pair of braces.
fn modules_named(code: &str) -> BTreeSet<String> {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let paths = code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with(is_of_word));
    paths.map(|(at, root)| code[at + root.len()..].chars().take_while(|c| is_of_word(*c)).collect()).collect()
}

#[test]
fn modules_know_what_the_map_says_and_nothing_else() {
    let map = map();
    let said = map.iter().map(|(module, row)| (&**module, row.modules.iter().map(String::as_str).collect()));
    assert_agree(said, &named(modules_named));
}

#[test]
fn another_module_is_named_from_the_crates_root() {
    let mut broken = Vec::new();
    for source in sources().into_iter().filter(|source| source.module().is_some() && !source.is_test()) {
        let inside = source.path.strip_prefix(root().join("src")).expect("a module's").with_extension("");
        let depth = inside.components().filter(|part| part.as_os_str() != "mod").count();
        if source.code().contains(&"super::".repeat(depth)) {
            broken.push(format!("{}: `super` leads out of its module, where nobody looks", source.path.display()));
        }
    }
    assert_none(broken);
}

#[test]
fn crates_are_known_where_the_map_says_so() {
    let map = map();
    let folders = fs::read_dir(root().join("plugins")).expect("the plugins are there").flatten();
    let folders = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let plugins = folders.filter(|name| !NO_PLUGINS.contains(&name.as_str()));
    let plugins: Vec<_> = plugins.map(|name| format!("tollgate_{}", name.replace('-', "_"))).collect();
    let named = named(|code| {
        let crates = CRATES.iter().filter(|(_, path)| names(code, path)).map(|(word, _)| *word);
        let plugins = plugins.iter().filter(|plugin| names(code, plugin)).map(|_| PLUGIN_CRATES);
        crates.chain(plugins).map(str::to_owned).collect()
    });
    let said = map.iter().map(|(module, row)| (&**module, row.words.iter().map(String::as_str)));
    assert_agree(said.map(|(module, words)| (module, words.filter(|word| *word != PURE).collect())), &named);
}

#[test]
fn pure_modules_know_no_runtime_no_clock_and_no_files() {
    let map = map();
    let named = named(|code| NOT_PURE.iter().filter(|path| names(code, path)).map(|path| (*path).to_owned()).collect());
    let pure: Vec<_> = map.iter().filter(|(_, row)| row.words.contains(PURE)).map(|(module, _)| module).collect();
    assert!(!pure.is_empty(), "some modules only compute");
    let known = pure.iter().flat_map(|module| named[*module].iter().map(move |(path, file)| (module, path, file)));
    let broken = known.map(|(module, path, file)| format!("{}: `{module}` is pure and knows {path}", file.display()));
    assert_none(broken.collect());
}

/// Everything that is known from here, by however many steps.
fn reached<'a>(from: &'a str, map: &'a BTreeMap<String, MayKnow>) -> BTreeSet<&'a str> {
    let (mut reached, mut ahead) = (BTreeSet::new(), vec![from]);
    while let Some(module) = ahead.pop() {
        ahead.extend(map[module].modules.iter().map(String::as_str).filter(|next| reached.insert(*next)));
    }
    reached
}

#[test]
fn the_rings_are_those_that_the_page_owns_to() {
    let map = map();
    let reached: BTreeMap<_, _> = map.keys().map(|module| (module.as_str(), reached(module, &map))).collect();
    let ring = |module: &str| -> BTreeSet<_> {
        reached[module]
            .iter()
            .filter(|other| reached[**other].contains(module))
            .map(|other| (*other).to_owned())
            .collect()
    };
    let found: BTreeSet<_> = map.keys().map(|module| ring(module)).filter(|ring| !ring.is_empty()).collect();
    let section = section();
    let told = section.lines().filter_map(|line| line.strip_prefix("- Ring ")?.split_once(':'));
    let told: BTreeSet<_> = told.map(|(modules, _)| MayKnow::read(modules).modules).collect();
    assert_eq!(found, told);
}
