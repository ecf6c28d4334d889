//! What is wrong with a plugin's table: all of it, each with its key, for the gateway to find its place in the file.

use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong. Its message never repeats a value: that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key's path inside `[plugins.NAME]`: `rules[1].max`. Empty: the table as a whole.
    pub key: String,
    /// The key itself is wrong, not what stands there.
    pub is_key: bool,
    /// What is wrong, what was expected, and a guess at what was meant.
    pub message: String,
}

/// The mistakes that were found so far.
#[derive(Clone, Debug, Default)]
pub struct Mistakes(RefCell<Vec<Mistake>>);

impl Mistakes {
    /// What stands at `key` is wrong.
    pub fn wrong(&self, key: &str, message: impl Into<String>) {
        self.0.borrow_mut().push(Mistake { key: key.to_owned(), is_key: false, message: message.into() });
    }

    /// `key` itself is wrong.
    pub fn wrong_key(&self, key: &str, message: impl Into<String>) {
        self.0.borrow_mut().push(Mistake { key: key.to_owned(), is_key: true, message: message.into() });
    }

    /// # Errors
    /// All of them, if there are any.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.borrow().is_empty() { Ok(()) } else { Err(self) }
    }

    /// All of them.
    pub fn into_list(self) -> Vec<Mistake> {
        self.0.into_inner()
    }
}

/// One a line.
impl fmt::Display for Mistakes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.borrow().iter().enumerate() {
            let line = if index == 0 { "" } else { "\n" };
            let colon = if mistake.key.is_empty() { "" } else { ": " };
            write!(out, "{line}{}{colon}{}", mistake.key, mistake.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// The table as a whole is wrong.
impl From<String> for Mistakes {
    fn from(message: String) -> Self {
        let mistakes = Self::default();
        mistakes.wrong("", message);
        mistakes
    }
}

/// The table as a whole is wrong.
impl From<&str> for Mistakes {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

/// A key as it stands in a path: quoted if it is not a bare key.
pub fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let key = if bare { key.to_string() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
