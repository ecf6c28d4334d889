//! `store.url`: which database, and whose.

use std::fmt;
use std::path::{Path, PathBuf};
use tollgate_plugin_api::did_you_mean;

/// A database's URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite:PATH`
    Sqlite(PathBuf),
}

impl StoreUrl {
    /// Reads one; a relative path starts from the working directory.
    ///
    /// # Errors
    /// What is wrong with it, without its text: a URL may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, path) = url.split_once(':').ok_or("no database URL")?;
        match scheme {
            "sqlite" => {}
            "postgres" | "postgresql" => return Err("this version has no PostgreSQL store".into()),
            _ => return Err(format!("unknown database{}", did_you_mean(scheme, ["sqlite"]))),
        }
        match path.strip_prefix("//").unwrap_or(path) {
            "" => Err("the path is missing".into()),
            ":memory:" => Err("a database in memory would lose the ledger".into()),
            path if path.contains(['?', '\0']) => Err("parameters are not supported".into()),
            path => Ok(Self::Sqlite(path.into())),
        }
    }

    /// The database's file.
    pub fn file(&self) -> &Path {
        let Self::Sqlite(path) = self;
        path
    }

    /// The same, in a folder where its path is relative.
    pub(crate) fn in_folder(self, resolve: impl Fn(PathBuf) -> PathBuf) -> Self {
        let Self::Sqlite(path) = self;
        Self::Sqlite(resolve(path))
    }
}

impl fmt::Display for StoreUrl {
    /// For people: of a path that is no UTF-8, about what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Sqlite(path) = self;
        write!(f, "sqlite:{}", path.display())
    }
}
