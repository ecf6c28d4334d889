//! `${VAR}` in strings.

/// How the message of a variable that is not set ends.
pub(super) const NOT_SET: &str = "is not set";

/// Replaces each `${VAR}` by the environment variable's value; `$${` stands for `${` itself, and a `$` before anything
/// else for itself. What is put in is not looked at again.
///
/// # Errors
/// What is wrong; names the variable, never a value.
pub(crate) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find('}').ok_or("`${` without `}`, expected `${NAME}` (`$${` stands for a plain `${`)")?;
        let name = &inner[..end];
        if !is_name(name) {
            return Err(
                "not a variable name between `${` and `}`, expected `${NAME}` with letters, digits and `_`".into()
            );
        }
        out.push_str(&env(name).ok_or_else(|| format!("environment variable {name} {NOT_SET}"))?);
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The variables that a text names.
pub(super) fn names(text: &str) -> Vec<String> {
    let names = std::cell::RefCell::new(Vec::new());
    let note = |name: &str| {
        names.borrow_mut().push(name.to_owned());
        Some(String::new())
    };
    // What is wrong with it is said where it is read.
    let _ = expand(text, &note);
    names.into_inner()
}

fn is_name(name: &str) -> bool {
    name.len() <= 256
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::expand;
    use proptest::prelude::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".into()),
            "_B2" => Some("${A}".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn replaces_variables() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${A}", "alpha"),
            ("x${A}y${A}z", "xalphayalphaz"),
            ("${_B2}", "${A}"),
            ("[${EMPTY}]", "[]"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("$A $ $$ $", "$A $ $$ $"),
            ("cost: 5$", "cost: 5$"),
            ("é${A}é", "éalphaé"),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("${NOPE}", "environment variable NOPE is not set"),
            ("${A", "without `}`"),
            ("${}", "not a variable name"),
            ("${A:-x}", "not a variable name"),
            ("${sk-secret}", "not a variable name"),
            ("${1A}", "not a variable name"),
        ] {
            let message = expand(text, &env).unwrap_err();
            assert!(message.contains(part) && !message.contains("secret"), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn text_without_a_reference_stays(text in "[^$]*(\\$[^${][^$]*)*") {
            prop_assert_eq!(expand(&text, &env), Ok(text));
        }

        #[test]
        fn never_panics(text in ".*(\\$|\\{|\\}|A){0,8}.*") {
            let _ = expand(&text, &env);
        }
    }
}
