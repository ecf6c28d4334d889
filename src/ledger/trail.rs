//! What routing decided for one request: kept where it was more than the first candidate, taken and good.

use super::record::LedgerRecord;
use serde::{Deserialize, Serialize};

/// Longest trail that is kept, in bytes of JSON; candidates that do not fit are only counted.
const TRAIL_BYTES_MAX: usize = 16 * 1024;

/// Attempts at upstreams, and what became of each candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// In order.
    pub attempts: Vec<TrailAttempt>,
    /// By priority; the ones that were tried among them.
    pub candidates: Vec<TrailCandidate>,
    /// How many candidates more there were.
    #[serde(default)]
    pub candidates_left_out: u64,
    /// The strategy that chose within a priority.
    #[serde(default)]
    pub strategy: String,
}

/// One attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailAttempt {
    /// The upstream's name.
    pub upstream: String,
    /// The model's name there.
    pub upstream_model: String,
    /// When it began, in milliseconds from the request's arrival.
    pub started_ms: u64,
    /// How long it took, in milliseconds; to its end.
    pub duration_ms: u64,
    /// `ok`, the class of its failure, or the request's own outcome.
    pub outcome: String,
    /// The upstream's answer; none: there was none.
    pub status: Option<u16>,
    /// What went wrong, as a code or in words.
    pub error: Option<String>,
}

/// One candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailCandidate {
    /// The upstream's name.
    pub upstream: String,
    /// True: it was tried.
    pub taken: bool,
    /// Why, or why not, in a word: `taken`, `breaker`, `refused`, `limit`, `weight`, `priority`.
    pub code: String,
    /// The same for people.
    pub why: String,
}

impl Trail {
    /// Of a request of which nothing was kept: its one attempt was at the candidate that was chosen first.
    pub fn of_record(record: &LedgerRecord) -> Self {
        let attempt = TrailAttempt {
            upstream: record.upstream.to_string(),
            upstream_model: record.upstream_model.to_string(),
            started_ms: 0,
            duration_ms: record.duration_ms,
            outcome: record.outcome.as_str().to_owned(),
            status: (record.status > 0).then_some(record.status),
            error: record.error_code.clone(),
        };
        let candidate = TrailCandidate {
            upstream: record.upstream.to_string(),
            taken: true,
            code: "taken".to_owned(),
            why: "chosen first, and no candidate was passed over".to_owned(),
        };
        match record.upstream.is_empty() {
            true => Self::default(),
            false => Self { attempts: vec![attempt], candidates: vec![candidate], ..Self::default() },
        }
    }

    /// What was kept; none: it cannot be read.
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// As JSON of not more than so many bytes, as far as leaving candidates out can do it.
    pub fn json(&self, bytes_max: usize) -> String {
        let mut shown = self.clone();
        loop {
            // Texts and numbers in structures can always be written: there is no failure that this would hide.
            let json = serde_json::to_string(&shown).unwrap_or_default();
            let left = shown.candidates.len();
            if json.len() <= bytes_max || left == 0 {
                return json;
            }
            // Those that were not tried go first, the last ones before the others.
            let keep = left / 2;
            shown.candidates.sort_by_key(|candidate| !candidate.taken);
            shown.candidates.truncate(keep);
            shown.candidates_left_out += (left - keep) as u64;
        }
    }

    /// As it is kept; none: it is too large.
    pub(super) fn kept(&self) -> Option<String> {
        Some(self.json(TRAIL_BYTES_MAX)).filter(|json| json.len() <= TRAIL_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_that_is_too_long_loses_candidates_that_were_not_tried() {
        let candidate = |at: usize| TrailCandidate {
            upstream: format!("u{at}"),
            taken: at == 99,
            why: "x".repeat(300),
            ..TrailCandidate::default()
        };
        let trail = Trail { candidates: (0..100).map(candidate).collect(), ..Trail::default() };
        let kept = trail.kept().unwrap();
        let read = Trail::parse(&kept).unwrap();
        assert!(kept.len() <= TRAIL_BYTES_MAX);
        assert_eq!(read.candidates[0].upstream, "u99");
        assert_eq!(read.candidates.len() as u64 + read.candidates_left_out, 100);
        let long = TrailAttempt { error: Some("x".repeat(TRAIL_BYTES_MAX)), ..TrailAttempt::default() };
        assert_eq!(Trail { attempts: vec![long], ..Trail::default() }.kept(), None);
        assert_eq!(Trail::parse("[]"), None);
    }

    #[test]
    fn a_request_of_which_nothing_was_kept_has_its_one_attempt() {
        let record = LedgerRecord { upstream: "u".into(), status: 200, duration_ms: 7, ..LedgerRecord::default() };
        let trail = Trail::of_record(&record);
        assert_eq!((trail.attempts.len(), trail.attempts[0].status, trail.candidates[0].taken), (1, Some(200), true));
        assert_eq!(Trail::of_record(&LedgerRecord::default()), Trail::default());
    }
}
