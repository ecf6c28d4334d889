//! Whether the time of a key's look-up reveals existing keys: real credentials with one wrong letter at their end, beside
//! random ones, in a random order. `cargo bench --bench key_timing`.
//!
//! The method is dudect's (Reparaz, Balasch, Verbauwhede 2017, "Dude, is my code constant time?"): Welch's t of the two
//! kinds' times, over all of them and over those below several quantiles, because times that are slow for other reasons hide
//! a difference. A leak grows |t| with the number of look-ups; below 4.5, none was seen. For comparison, a look-up that leaks
//! is measured, too.

mod keys;

use rand::RngExt;
use secrecy::ExposeSecret;
use std::hint::black_box;
use std::time::Instant;
use tollgate::keyring::{Keys, digest_of, new_credential};

const KEYS: i64 = 100_000;
const LOOK_UPS: usize = 1_000_000;
/// The shares of look-ups, the fastest first, that are compared.
const SHARES: [f64; 6] = [0.5, 0.7, 0.9, 0.97, 0.99, 1.0];
/// Look-ups are made ready so many at a time.
const BATCH: usize = 10_000;

/// How long look-ups took, in nanoseconds.
#[derive(Default)]
struct Times {
    near: Vec<f64>,
    random: Vec<f64>,
}

/// A real credential with another last letter.
fn near(real: &str) -> String {
    let mut text = real.to_owned();
    let last = text.pop();
    text.push(if last == Some('A') { 'B' } else { 'A' });
    text
}

fn measure<T>(real: &[String], look_up: impl Fn(&str) -> T) -> Times {
    let mut random = rand::rng();
    let mut times = Times::default();
    for _ in 0..LOOK_UPS / BATCH {
        let asked: Vec<(bool, String)> = (0..BATCH)
            .map(|_| {
                let is_near = random.random();
                // Made alike, so that neither kind is nearer to the processor.
                let (mine, other) = (&real[random.random_range(0..real.len())], new_credential());
                (is_near, near(if is_near { mine } else { other.secret.expose_secret() }))
            })
            .collect();
        for (is_near, credential) in &asked {
            let began = Instant::now();
            black_box(look_up(black_box(credential)));
            let took_ns = began.elapsed().as_nanos() as f64;
            if *is_near { times.near.push(took_ns) } else { times.random.push(took_ns) }
        }
    }
    times
}

/// Welch's t of the times up to `limit_ns`.
fn welch_t(times: &Times, limit_ns: f64) -> f64 {
    let moments = |times: &[f64]| {
        let kept: Vec<f64> = times.iter().copied().filter(|ns| *ns <= limit_ns).collect();
        let count = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let variance = kept.iter().map(|ns| (ns - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((near, near_error), (random, random_error)) = (moments(&times.near), moments(&times.random));
    (near - random) / (near_error + random_error).sqrt()
}

fn report(name: &str, times: &Times) {
    let mut all: Vec<f64> = times.near.iter().chain(&times.random).copied().collect();
    all.sort_by(f64::total_cmp);
    let limit_ns = |share: f64| all[((all.len() as f64 * share) as usize).clamp(1, all.len()) - 1];
    let largest = SHARES.iter().map(|share| welch_t(times, limit_ns(*share)).abs()).fold(0.0, f64::max);
    println!("{name}: {} look-ups, median {} ns, largest |t| {largest:.1}", all.len(), limit_ns(0.5));
}

fn main() {
    let ring = Keys::new();
    let real: Vec<String> = (0..KEYS)
        .map(|id| {
            let credential = new_credential();
            ring.apply_change(keys::key(id, credential.digest));
            credential.secret.expose_secret().to_owned()
        })
        .collect();
    report("by its hash, as Tollgate does", &measure(&real, |credential| ring.find(&digest_of(credential))));
    // What must be found, or the measure is worth nothing: letter by letter among sorted credentials.
    let mut sorted = real.clone();
    sorted.sort();
    let leaking = |credential: &str| sorted.binary_search_by(|one| one.as_str().cmp(credential)).is_ok();
    report("letter by letter, which leaks", &measure(&real, leaking));
}
