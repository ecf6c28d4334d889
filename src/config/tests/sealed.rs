//! Sealed values: they open where they belong, under the key that sealed them, and nowhere else.

use super::super::seal::{MasterKeys, PREFIX, SECRET_BYTES_MAX, VARIABLE};
use super::super::{Config, ConfigError, reseal};
use super::{folder, lines};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const SECRET: &str = "sk-sealed-canary-Zq81xQ7-0123456789";

fn keys(text: &str) -> MasterKeys {
    MasterKeys::find(&|name| (name == VARIABLE).then(|| text.to_owned()), None).unwrap().expect("they are there")
}

fn sealed(master: &str, name: &str) -> String {
    keys(master).seal(SECRET, name).unwrap()
}

/// Two upstreams, with these keys.
fn text(first: &str, second: &str) -> String {
    format!(
        "# kept\n[[upstream]]\nname = \"one\" # kept\nprovider = \"openai\"\napi_key = \"{first}\"   # kept, too\n\
         models = [\"m\"]\n\n[[upstream]]\nname = \"two\"\nprovider = \"openai\"\n  api_key = '{second}'\nmodels = [\"m\"]\n"
    )
}

fn parse(text: &str, folder: &Path, master: Option<&str>) -> Result<Config, Vec<ConfigError>> {
    let env = |name: &str| match name {
        VARIABLE => master.map(str::to_owned),
        "SEALED" => Some(sealed(master.unwrap(), "one")),
        _ => None,
    };
    Config::parse(text, &folder.join("tollgate.toml"), &env)
}

/// The only error, as it is shown; it never shows a secret or a master key.
fn error(text: &str, master: Option<&str>) -> String {
    let folder = folder();
    let errors = parse(text, folder.path(), master).expect_err(text);
    let said = lines(&errors);
    assert!(
        !said.contains("canary")
            && !said.contains(PREFIX)
            && !master.is_some_and(|key| said.contains(&format!("{key:?}")) || key.len() > 5 && said.contains(key)),
        "{said}"
    );
    assert_eq!(errors.len(), 1, "{said}");
    said.rsplit_once('/').unwrap().1.trim_end().to_owned()
}

#[test]
fn a_sealed_value_is_the_key_that_was_sealed() {
    let master = MasterKeys::generate();
    let (one, two) = (sealed(&master, "one"), sealed(&master, "two"));
    let config = parse(&text(&one, &two), folder().path(), Some(&master)).map_err(|errors| lines(&errors)).unwrap();
    let key = |index: usize| config.upstreams[index].api_key.as_ref().unwrap().expose_secret().to_owned();
    assert_eq!((key(0), key(1)), (SECRET.to_owned(), SECRET.to_owned()));
    assert!(!format!("{config:?}").contains("canary"));
    // Nothing of it shows, and the same secret is never sealed alike.
    assert!(!one.contains(&STANDARD.encode(SECRET)[..12]) && one != sealed(&master, "one"));
    // Who needs no keys does not need the master key either.
    let path = folder();
    std::fs::write(path.path().join("t.toml"), text(&one, &two)).unwrap();
    assert!(Config::load_places(&path.path().join("t.toml"), &|_| None).is_ok());
}

#[test]
fn what_does_not_open_says_why_and_where() {
    let (master, other) = (MasterKeys::generate(), MasterKeys::generate());
    let (one, two) = (sealed(&master, "one"), sealed(&master, "two"));
    let at = |said: String, place: &str, word: &str| {
        assert!(said.starts_with(&format!("tollgate.toml:{place}: upstream")) && said.contains(word), "{said}");
    };
    at(error(&text(&one, &one), Some(&master)), "11:13", "upstream of another name");
    at(error(&text(&two, &two), Some(&master)), "5:11", "upstream of another name");
    at(error(&text(&sealed(&other, "one"), &two), Some(&master)), "5:11", "another master key");
    at(error(&text(&one, &two).replace("\"one\"", "\"eins\""), Some(&master)), "5:11", "upstream of another name");
    at(error(&text("${SEALED}", &two), Some(&master)), "5:11", "in the file itself");
    at(error(&text(PREFIX, &two), Some(&master)), "5:11", "damaged");
    at(error(&text(&one, "sk-plain"), None), "5:11", "no master key, expected it in TOLLGATE_MASTER_KEY");
    at(
        error(&text(&one, "sk-plain"), Some("short")),
        "5:11",
        "TOLLGATE_MASTER_KEY holds no master key, expected 32 random",
    );
    at(error(&text(&one, "sk-plain"), Some(" ")), "5:11", "is empty");
    let long = |bytes| keys(&master).seal(&"x".repeat(bytes), "one");
    assert!(long(SECRET_BYTES_MAX).is_some() && long(SECRET_BYTES_MAX + 1).is_none());
    let spaces = keys(&master).seal("a b", "one").unwrap();
    at(error(&text(&spaces, &two), Some(&master)), "5:11", "visible ASCII");
}

#[test]
fn a_value_with_any_bit_changed_does_not_open() {
    let master = MasterKeys::generate();
    let value = sealed(&master, "one");
    let keys = keys(&master);
    let bytes = STANDARD.decode(value.strip_prefix(PREFIX).unwrap()).unwrap();
    let opens = |bytes: &[u8]| keys.open(&format!("{PREFIX}{}", STANDARD.encode(bytes)), "one").is_ok();
    assert!(opens(&bytes));
    let body = bytes.len() - 4;
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!opens(&changed), "bit {bit}");
        // And by somebody who makes the checksum right again.
        let checksum = crc32fast::hash(&changed[..body]).to_be_bytes();
        changed[body..].copy_from_slice(&checksum);
        assert!(bit / 8 >= body || !opens(&changed), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(!opens(&bytes[..length]), "{length} bytes");
    }
}

#[test]
fn a_file_of_master_keys_is_its_owners_alone() {
    let master = MasterKeys::generate();
    let folder = folder();
    let file = folder.path().join("master");
    let whole = format!("[server]\nmaster_key_file = \"master\"\n{}", text(&sealed(&master, "one"), "sk-plain"));
    let mut told = Vec::new();
    let mut check = |mode: u32, content: &str| {
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let read = parse(&whole, folder.path(), None).map(drop).map_err(|errors| lines(&errors));
        told.extend(read.as_ref().err().cloned());
        read
    };
    for mode in [0o600, 0o400, 0o440, 0o640] {
        assert_eq!(check(mode, &format!("{}\n", *master)), Ok(()), "{mode:o}");
    }
    for mode in [0o604, 0o644, 0o664, 0o660, 0o602, 0o601, 0o777] {
        let said = check(mode, &master).unwrap_err();
        assert!(said.contains(":2:19: server.master_key_file: ") && said.contains(&format!("mode {mode:o}")), "{said}");
    }
    for (content, word) in [
        ("", "is empty"),
        ("canary", "no master key"),
        (&"A".repeat(5000), "no master key"),
        (&master[1..], "no master key"),
    ] {
        let said = check(0o600, content).unwrap_err();
        assert!(said.contains("server.master_key_file") && said.contains(word), "{said}");
    }
    let many = format!("{} ", *master).repeat(9);
    assert!(check(0o600, &many).unwrap_err().contains("too many"));
    assert!(!told.concat().contains("canary") && !told.concat().contains(&master[..8]));
    // A folder, and a file that is not there.
    for (path, word) in [("tls", "is no file"), ("none", "cannot be read")] {
        let said =
            lines(&parse(&whole.replace("\"master\"", &format!("\"{path}\"")), folder.path(), None).unwrap_err());
        assert!(said.contains(word), "{said}");
    }
    // The environment goes before the file.
    assert!(parse(&whole, folder.path(), Some(&master)).is_ok());
    assert!(parse(&whole, folder.path(), Some(&MasterKeys::generate())).is_err());
}

#[test]
fn a_new_master_key_takes_over_while_the_old_one_still_opens() {
    let (old, new) = (MasterKeys::generate(), MasterKeys::generate());
    let both = format!("{}\n{}\n", *new, *old);
    let file = Path::new("tollgate.toml");
    let before = text(&sealed(&old, "one"), &sealed(&old, "two"));
    let (after, count) = reseal(&before, file, &keys(&both)).map_err(|errors| lines(&errors)).unwrap();
    assert_eq!(count, 2);
    let path = folder();
    for (text, master, opens) in [
        (&before, both.as_str(), true),
        (&after, both.as_str(), true),
        (&after, new.as_str(), true),
        (&after, old.as_str(), false),
        (&before, new.as_str(), false),
    ] {
        assert_eq!(parse(text, path.path(), Some(master)).is_ok(), opens);
    }
    // All but the values is as it was.
    let others =
        |text: &str| text.lines().map(|line| line.split(PREFIX).next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(others(&after.replace('"', "'")), others(&before.replace('"', "'")));
    assert!(after.contains("   # kept, too"), "{after}");
    // One that does not open, and none is changed.
    let errors = reseal(&before.replace("\"two\"", "\"three\""), file, &keys(&both)).unwrap_err();
    assert!(lines(&errors).starts_with("tollgate.toml:11:13: upstream[1].api_key: "), "{}", lines(&errors));
    assert!(
        reseal("upstream = 3\n", file, &keys(&both))
            .is_ok_and(|(text, count)| (text.as_str(), count) == ("upstream = 3\n", 0))
    );
    assert!(reseal("upstream = ", file, &keys(&both)).is_err());
    let inline = format!("upstream = [{{ name = \"one\", api_key = \"{}\" }}]\n", sealed(&old, "one"));
    assert_eq!(reseal(&inline, file, &keys(&both)).map_err(|errors| lines(&errors)).unwrap().1, 1);
}
