//! `tollgate import`: people of another gateway, and codes that they redeem.

use super::amount::usd;
use super::import::{Taken, left};
use super::open_store;
use super::terminal::{Failure, Outcome};
use crate::config::Config;
use crate::import::{Found, FoundCode, FoundPerson};
use crate::store::{Act, NewPerson, Store, StoreError, StoreErrorKind};

/// What became of each: before keys, which name people.
pub(super) fn take(found: &mut Found, config: &Config, writes: bool, taken: &mut Vec<Taken>, act: &Act) -> Outcome {
    if found.people.is_empty() && found.codes.is_empty() {
        return Ok(());
    }
    let store = if writes { Some(open_store(config)?) } else { None };
    for person in std::mem::take(&mut found.people) {
        let made = store.as_ref().map_or(Ok(()), |store| make_person(&person, &**store, act));
        match told(made)? {
            Ok(()) => taken.push(Taken { what: "user", name: person.name.clone(), how: of_person(&person) }),
            Err(why) => found.left.push(left("user", &person.name, why)),
        }
    }
    for code in std::mem::take(&mut found.codes) {
        let made = store.as_ref().map_or(Ok(()), |store| make_code(&code, &**store, act));
        match told(made)? {
            Ok(()) => {
                let how = format!("the same code goes on, worth {}", usd(code.amount_nanos));
                taken.push(Taken { what: "code", name: code.name, how });
            }
            Err(why) => found.left.push(left("code", &code.name, why)),
        }
    }
    Ok(())
}

/// What the store does not accept is left; what it cannot do ends the import.
fn told(made: Result<(), StoreError>) -> Result<Result<(), String>, Failure> {
    use StoreErrorKind::{Conflict, Invalid, NameTaken};
    match made {
        Ok(()) => Ok(Ok(())),
        Err(StoreError { kind: NameTaken | Conflict | Invalid, message, .. }) => Ok(Err(message)),
        Err(error) => Err(error.into()),
    }
}

fn make_person(person: &FoundPerson, store: &dyn Store, act: &Act) -> Result<(), StoreError> {
    let new = NewPerson {
        name: person.name.clone(),
        role: person.role,
        enabled: person.enabled,
        password_hash: None,
        quota_nanos: Some(person.quota_nanos),
        budget: None,
    };
    store.people().person_create(act, &new).map(drop)
}

fn make_code(code: &FoundCode, store: &dyn Store, act: &Act) -> Result<(), StoreError> {
    store.people().codes_create(act, code.amount_nanos, code.expires_at_ms, &[code.digest]).map(drop)
}

fn of_person(person: &FoundPerson) -> String {
    let FoundPerson { role, role_there, quota_nanos, used_nanos, .. } = person;
    let state = if person.enabled { "" } else { ", disabled" };
    format!(
        "{} (there: {role_there}), may spend the {} that were left (used there: {}), signs in once an admin has set a password{state}",
        role.as_str(),
        usd(*quota_nanos),
        usd(*used_nanos),
    )
}
