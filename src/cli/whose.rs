//! Whose process this is, as the audit says it: nothing that the environment could claim.

/// The name that the system's own list has, and the number.
pub(super) fn whose() -> String {
    let uid = rustix::process::getuid().as_raw();
    // Not there, or another directory has the names: the number says it.
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    match name_of(uid, &list) {
        Some(name) => format!("{name}, uid {uid}"),
        None => format!("uid {uid}"),
    }
}

fn name_of(uid: u32, list: &str) -> Option<&str> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_lists_name() {
        let list = "root:x:0:0:root:/root:/bin/sh\nbroken\n+::::::\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!([0, 1000, 7].map(|uid| name_of(uid, list)), [Some("root"), Some("ann"), None]);
    }
}
