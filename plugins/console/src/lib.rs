//! The web console's pages: built from `web/`, committed in `assets/` and embedded here, so that building Tollgate needs no
//! npm and running it needs no files. `/console/api` is not answered by this crate.

use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

/// The page that every address of the console shows; its script looks at the address itself.
pub const INDEX: &str = "index.html";
/// The folder of files with a hash of their content in their names.
pub const HASHED: &str = "assets";
const TYPES: [(&str, &str); 9] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("ico", "image/x-icon"),
    ("json", "application/json"),
    ("woff2", "font/woff2"),
    ("txt", "text/plain; charset=utf-8"),
];

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// One file of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// The file as it is sent.
    pub bytes: Cow<'static, [u8]>,
    /// For `content-type`.
    pub content_type: &'static str,
    /// For `etag`, quotes included.
    pub etag: String,
    /// Whether another content would have another name: it may be kept for ever.
    pub is_immutable: bool,
}

impl Asset {
    fn new(path: &str, file: EmbeddedFile) -> Self {
        let etag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
        Self { bytes: file.data, content_type: content_type(path), etag, is_immutable: is_hashed(path) }
    }
}

/// The file at a path below `/console/`: `assets/index-1a2b3c.js`. Pages, such as `keys`, are no files: each is the [`INDEX`].
pub fn asset(path: &str) -> Option<Asset> {
    Assets::get(path).map(|file| Asset::new(path, file))
}

fn is_hashed(path: &str) -> bool {
    path.split_once('/').is_some_and(|(folder, _)| folder == HASHED)
}

fn content_type(path: &str) -> &'static str {
    let ending = path.rsplit('.').next().unwrap_or_default();
    TYPES.iter().find(|(known, _)| *known == ending).map_or("application/octet-stream", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        String::from_utf8(asset(path).expect(path).bytes.into_owned()).expect("text")
    }

    #[test]
    fn the_index_is_a_page_that_is_asked_for_again() {
        let index = asset(INDEX).expect("the console is built");
        assert_eq!(index.content_type, "text/html; charset=utf-8");
        assert!(!index.is_immutable);
    }

    #[test]
    fn only_files_of_the_console_are_there() {
        let paths = ["", "/", "keys", "api/keys", "internal/reload", "assets", "assets/", "assets/none.js"];
        for path in paths.into_iter().chain(["..", "../Cargo.toml", "assets/../../Cargo.toml", "/etc/passwd"]) {
            assert_eq!(asset(path), None, "{path}");
        }
    }

    #[test]
    fn what_the_index_names_is_there_and_of_this_origin() {
        let index = text("index.html");
        let named: Vec<&str> = index
            .split('"')
            .filter_map(|part| part.strip_prefix("/console/"))
            .filter(|part| part.contains('.'))
            .collect();
        assert!(named.len() >= 3, "a script, a style and an icon: {named:?}");
        for path in named {
            assert!(!asset(path).expect(path).bytes.is_empty());
        }
        assert!(!index.contains("http:") && !index.contains("https:"));
    }

    /// The policy of the console's answers allows neither.
    #[test]
    fn nothing_is_inline() {
        let index = text("index.html");
        assert!(!index.contains("<style") && !index.contains(" style=") && !index.contains(" on"));
        for script in index.split("<script").skip(1) {
            assert!(script.contains(" src=\"/console/"), "{script}");
        }
    }

    #[test]
    fn hashed_files_are_immutable_and_etags_tell_files_apart() {
        let mut etags = Vec::new();
        for path in Assets::iter() {
            let file = asset(&path).expect("listed");
            assert_eq!(file.is_immutable, path.starts_with("assets/"), "{path}");
            assert_ne!(file.content_type, "application/octet-stream", "{path}");
            assert!(file.etag.len() == 34 && file.etag.starts_with('"') && file.etag.ends_with('"'), "{}", file.etag);
            etags.push(file.etag);
        }
        let count = etags.len();
        etags.sort();
        etags.dedup();
        assert_eq!(etags.len(), count);
    }
}
