use super::{NOW_MS, Place, Ran};
use std::os::unix::fs::PermissionsExt;

const SECRET: &str = "sk-sealed-canary-Zq81xQ7-0123456789";

impl Place {
    fn with_master(&self, line: &str, input: &str, master: &str) -> Ran {
        let env = |name: &str| match name {
            "TOLLGATE_MASTER_KEY" => Some(master.to_owned()).filter(|master| !master.is_empty()),
            "MAIN_KEY" => Some("sk-main-canary".to_owned()),
            _ => None,
        };
        self.run_with(line, input, &env, NOW_MS, None)
    }
}

/// A master key, as the command makes it.
fn master(place: &Place) -> String {
    place.ok("secret key").trim().to_owned()
}

#[test]
fn a_key_is_sealed_checked_and_sealed_again() {
    let place = Place::new();
    let (old, new) = (master(&place), master(&place));
    assert_ne!(old, new);
    let sealed = place.with_master("secret seal main", &format!("{SECRET}\n"), &old);
    assert_eq!((sealed.status, sealed.err.as_str()), (0, ""));
    let value = sealed.out.trim();
    let text = super::CONFIG.replace("\"${MAIN_KEY}\"", &format!("\"{value}\" # kept"));
    place.write("tollgate.toml", &text);
    std::fs::set_permissions(place.path("tollgate.toml"), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(place.with_master("check", "", &old).status, 0);
    let wrong = place.with_master("check", "", &new);
    assert!(
        wrong.status == 2 && wrong.err.contains("tollgate.toml:9:11: upstream[0].api_key: the value was"),
        "{wrong:?}"
    );
    let without = place.with_master("check", "", "");
    assert!(without.status == 2 && without.err.contains("no master key"), "{without:?}");
    // Not under the new one alone: nothing is written.
    let failed = place.with_master("secret rotate", "", &new);
    assert!(failed.status == 2 && failed.err.contains("tollgate.toml:9:11: upstream[0].api_key: "), "{failed:?}");
    assert_eq!(place.read("tollgate.toml"), text);
    let rotated = place.with_master("secret rotate", "", &format!("{new} {old}"));
    assert!(rotated.status == 0 && rotated.out.starts_with("1 values in "), "{rotated:?}");
    let after = place.read("tollgate.toml");
    assert!(after != text && after.contains("\" # kept\n"), "{after}");
    let mode = std::fs::metadata(place.path("tollgate.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(place.with_master("check", "", &new).status, 0);
    assert_eq!(place.with_master("check", "", &old).status, 2);
    for said in [&sealed, &wrong, &without, &failed, &rotated] {
        let all = format!("{said:?}");
        assert!(!all.contains("canary") && !all.contains(&old) && !all.contains(&new), "{all}");
    }
}

#[test]
fn mistakes_in_sealing_are_named() {
    let place = Place::new();
    let key = master(&place);
    for (line, input, master, word) in [
        ("secret seal main", SECRET, "", "there is no master key"),
        ("secret seal main", SECRET, "canary", "TOLLGATE_MASTER_KEY holds no master key"),
        ("secret seal main", "", key.as_str(), "on standard input"),
        ("secret seal main", "two canaries", key.as_str(), "without spaces"),
        ("secret seal main", &"x".repeat(16 * 1024 + 1), key.as_str(), "too long"),
        ("secret seal", SECRET, key.as_str(), "<UPSTREAM>"),
        ("secret rotate", "", "", "there is no master key"),
    ] {
        let ran = place.with_master(line, input, master);
        assert!(ran.status == 2 && ran.err.contains(word) && ran.out.is_empty(), "{line}: {ran:?}");
        assert!(!ran.err.contains("canar") && !ran.err.contains(&key), "{ran:?}");
    }
    let other = place.with_master("secret seal mian", SECRET, &key);
    assert!(other.status == 0 && other.err.contains("did you mean `main`?"), "{other:?}");
    // By a file that the configuration names.
    place.write("master", &key);
    place.write("tollgate.toml", &format!("[server]\nmaster_key_file = \"master\"\n{}", super::CONFIG));
    let open = place.with_master("secret seal main", SECRET, "");
    assert!(open.status == 2 && open.err.contains("chmod 600"), "{open:?}");
    std::fs::set_permissions(place.path("master"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(place.with_master("secret seal main", SECRET, "").status, 0);
    let none = place.with_master("secret rotate", "", "");
    assert!(none.status == 0 && none.out.starts_with("0 values"), "{none:?}");
}
