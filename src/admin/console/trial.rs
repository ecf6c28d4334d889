//! A password is given: counted, compared, and what comes of it told: in the metrics, in the log, and, of a name that strangers have
//! guessed at until nobody new is let in, in the audit.

use super::attempts::{Attempt, By, Giver};
use super::refusal::{Code, Refusal};
use super::session::Caller;
use super::{Desk, Remote};
use crate::clock::{steady_ms, unix_ms};
use crate::store::{Act, Person, SecretDigest};
use secrecy::SecretString;

/// So much of a name is logged, in characters: people's are not longer.
const NAME_CHARS_MAX: usize = 128;

/// Who gives a password, and for what.
enum Who {
    /// To sign in.
    Stranger(Remote),
    /// Who is signed in, to change it.
    Session(SecretDigest),
}

impl Who {
    /// As the metrics have it.
    fn asked_for(&self) -> &'static str {
        match self {
            Self::Stranger(_) => "sign_in",
            Self::Session(_) => "password_change",
        }
    }
}

/// There is no such person, or the password is not theirs.
pub(super) fn wrong() -> Refusal {
    Refusal::new(Code::Unauthenticated, "no such name with this password")
}

/// Whose password this is, and what it was compared with: of who signs in.
///
/// # Errors
/// It is nobody's of this name, or too many were given.
pub(super) async fn sign_in(
    desk: &Desk,
    remote: Remote,
    name: String,
    password: SecretString,
) -> Result<(Person, String), Refusal> {
    compare(desk, &Who::Stranger(remote), name, password).await
}

/// The same of who is signed in.
///
/// # Errors
/// The same.
pub(super) async fn once_more(
    desk: &Desk,
    caller: &Caller,
    password: SecretString,
) -> Result<(Person, String), Refusal> {
    compare(desk, &Who::Session(caller.digest), caller.person.name.clone(), password).await
}

async fn compare(desk: &Desk, who: &Who, name: String, password: SecretString) -> Result<(Person, String), Refusal> {
    let giver = match who {
        Who::Stranger(remote) => Giver::Stranger(&name, remote.address),
        Who::Session(digest) => Giver::Session(digest),
    };
    let came_to = |result| desk.shared.metrics.console_password(who.asked_for(), result);
    let attempt = desk.attempts.begin(giver, steady_ms()).map_err(|wait_ms| {
        came_to("too_many");
        Refusal::new(Code::TooMany, "too many attempts: wait a quarter of an hour").after_ms(wait_ms)
    })?;
    let asked = name.clone();
    let found = desk.ask(move |store| store.people().password_of(&asked)).await?;
    let (person, hash) = found.unzip();
    match (desk.is_password(password, hash.clone()).await?, person, hash) {
        (true, Some(person), Some(hash)) => {
            came_to("right");
            desk.attempts.succeeded(attempt, steady_ms());
            Ok((person, hash))
        }
        (_, person, _) => {
            came_to("wrong");
            tell(desk, who, &name, &attempt, person);
            Err(wrong())
        }
    }
}

/// Logs a wrong one, and the limits that it has reached: once, not for each that is refused then.
fn tell(desk: &Desk, who: &Who, name: &str, attempt: &Attempt, person: Option<Person>) {
    // In quotes and escaped: it may be anything.
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    let from = match who {
        Who::Stranger(Remote { address: Some(address), .. }) => format!("from {address}"),
        Who::Stranger(_) => "from an unknown address".to_owned(),
        Who::Session(_) => "of somebody who is signed in".to_owned(),
    };
    tracing::warn!("console: a wrong password for {name:?} {from}");
    for by in &attempt.reaches {
        let of_whom = match by {
            By::NameAtNetwork | By::Session => format!("for {name:?} {from}"),
            By::Network => format!("{from}, for any name"),
            By::Name => format!("for {name:?} from where nobody has signed in with it"),
        };
        tracing::warn!("console: for a while, no more passwords are accepted {of_whom}");
    }
    if let Some(person) = person.filter(|_| attempt.reaches.contains(&By::Name)) {
        note_locked(desk, &person);
    }
}

/// Once a window and person at most. Nobody waits for it: who guesses must not learn by the time it takes that there is such a person.
fn note_locked(desk: &Desk, person: &Person) {
    let act = Act { at_ms: unix_ms(), actor: Act::GATEWAY.into() };
    let (store, object) = (desk.store.clone(), format!("person {}", person.id));
    desk.backstage.run(move || {
        if let Err(error) = store.people().note(&act, "session.locked", &object, None, None) {
            tracing::warn!("console: the audit cannot record that the password of {object} is being guessed: {error}");
        }
    });
}
