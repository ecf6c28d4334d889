//! "Did you mean …?": the words of messages about a configuration, the gateway's and the plugins' alike.

/// The word among `known` that was most likely meant, if any is close.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = fold(word);
    if word.is_empty() || word.len() > 64 {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let folded = fold(candidate);
        let distance = distance(&word, &folded);
        let close = distance <= folded.len().max(word.len()).div_ceil(4).max(1) && distance < folded.len();
        let akin = akin(&word, &folded) || akin(&folded, &word);
        let score = if close { distance } else { 100 + distance };
        if (close || akin) && best.is_none_or(|(least, _)| score < least) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `, did you mean X?`, or nothing.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(word, known).map(|known| format!(", did you mean `{known}`?")).unwrap_or_default()
}

/// `a`, `b` or `c`.
pub fn one_of<'k>(known: impl IntoIterator<Item = &'k str>) -> String {
    let quoted: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).flat_map(char::to_lowercase).collect()
}

/// True if `short` lacks a part of `long` (`url` for `base_url`, `on_disconnect` for `on_client_disconnect`), or has
/// another ending.
fn akin(short: &str, long: &str) -> bool {
    let same = short.bytes().zip(long.bytes()).take_while(|(a, b)| a == b).count();
    let same_behind = short.bytes().rev().zip(long.bytes().rev()).take_while(|(a, b)| a == b).count();
    let lacks_middle = short.len() >= 6 && same >= 2 && same + same_behind >= short.len();
    (short.len() >= 3 && long.contains(short)) || lacks_middle || same >= 4
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{nearest, one_of};

    #[test]
    fn finds_what_was_meant() {
        let known = ["listen", "threads", "api_key", "base_url", "models", "openai", "deepseek"];
        for (word, meant) in [
            ("lisen", Some("listen")),
            ("listne", Some("listen")),
            ("apikey", Some("api_key")),
            ("url", Some("base_url")),
            ("model", Some("models")),
            ("OpenAI", Some("openai")),
            ("open-ai", Some("openai")),
            ("deep_seek", Some("deepseek")),
            ("base_link", Some("base_url")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }

    #[test]
    fn lists_words() {
        assert_eq!(one_of(["a"]), "`a`");
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
