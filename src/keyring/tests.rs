use super::*;
use secrecy::ExposeSecret;
use tollgate_plugin_api::RejectCode;

fn key(id: i64) -> Key {
    Key { id, quota_nanos: Some(100), ..tollgate_plugin_doubles::key(&format!("key-{id}")) }
}

fn row(id: i64, digest: Option<CredentialDigest>) -> KeyRow {
    KeyRow { key: key(id), digest, version: 1, created_at_ms: 0, spent_nanos: 7 }
}

#[test]
fn a_credential_is_found_by_its_digest_alone() {
    let (one, other) = (new_credential(), new_credential());
    assert!(one.secret.expose_secret().starts_with(CREDENTIAL_PREFIX));
    assert_eq!(one.secret.expose_secret().len(), CREDENTIAL_PREFIX.len() + 64);
    assert_eq!(digest_of(one.secret.expose_secret()), one.digest);
    assert_ne!(one.digest, other.digest);
    let keys = Keys::new();
    keys.apply_change(row(1, Some(one.digest)));
    assert_eq!(keys.find(&one.digest).unwrap().key().id, 1);
    assert!(keys.find(&other.digest).is_none());
}

#[test]
fn a_change_keeps_the_balance_and_rotation_ends_the_old_credential() {
    let keys = Keys::new();
    keys.apply_change(row(1, Some([1; 32])));
    let entry = keys.find(&[1; 32]).unwrap();
    let grant = entry.account.hold(50).unwrap();
    let mut changed = row(1, Some([2; 32]));
    changed.key.quota_nanos = Some(60);
    changed.spent_nanos = 0;
    keys.apply_change(changed);
    assert!(keys.find(&[1; 32]).is_none());
    assert!(Arc::ptr_eq(&entry, &keys.find(&[2; 32]).unwrap()));
    let balance = entry.account.balance();
    assert_eq!((balance.quota_nanos, balance.spent_nanos, balance.held_nanos), (Some(60), 7, 50));
    entry.account.void(grant);
    keys.apply_change(row(1, None));
    assert!(keys.find(&[2; 32]).is_none() && keys.get(1).is_none() && keys.is_empty());
    assert_eq!(entry.accepts(0), Err(RejectCode::AuthInvalidToken), "of a request that found it before");
}

#[test]
fn names_follow_renames_deletions_and_swaps_in_any_order() {
    let keys = Keys::new();
    let named = |id: i64, name: &str, digest: Option<u8>| {
        let mut row = row(id, digest.map(|byte| [byte; 32]));
        row.key.name = name.into();
        keys.apply_change(row);
    };
    let found = |name: &str| keys.find_by_name(name).map(|entry| entry.key().id);
    named(1, "a", Some(1));
    assert_eq!(found("a"), None, "nobody has asked for an index");
    keys.index_names();
    named(2, "b", Some(2));
    assert_eq!((found("a"), found("b"), found("c")), (Some(1), Some(2), None));
    // Swapped: the one is told before the other.
    named(1, "b", Some(1));
    named(2, "a", Some(2));
    assert_eq!((found("a"), found("b")), (Some(2), Some(1)));
    named(1, "b", None);
    named(3, "b", Some(3));
    named(2, "c", Some(2));
    assert_eq!((found("a"), found("b"), found("c")), (None, Some(3), Some(2)));
    keys.index_names();
    assert_eq!(found("c"), Some(2));
}

#[test]
fn a_name_that_no_operator_gave_finds_no_key() {
    for indexed_before in [true, false] {
        let keys = Keys::new();
        let found = |name: &str| keys.find_by_name(name).map(|entry| entry.key().id);
        let named = |id: i64, name: &str, named_by_operator: bool| {
            let mut row = row(id, Some([u8::try_from(id).unwrap(); 32]));
            (row.key.name, row.key.named_by_operator) = (name.into(), named_by_operator);
            keys.apply_change(row);
        };
        if indexed_before {
            keys.index_names();
        }
        named(1, "a", false);
        named(2, "b", true);
        named(4, "d", false);
        assert_eq!(keys.not_found_by_name(), if indexed_before { 2 } else { 0 }, "where nobody looks, none is missed");
        keys.index_names();
        assert_eq!((found("a"), found("b")), (None, Some(2)));
        assert_eq!(keys.not_found_by_name(), 2);
        // The same name, by somebody else.
        named(1, "a", true);
        named(2, "b", false);
        assert_eq!((found("a"), found("b")), (Some(1), None));
        named(2, "c", false);
        named(3, "b", true);
        assert_eq!((found("b"), found("c")), (Some(3), None));
    }
}

#[test]
fn uses_are_reported_once_with_the_latest_time() {
    let keys = Keys::new();
    keys.apply_change(row(1, Some([1; 32])));
    keys.apply_change(row(2, Some([2; 32])));
    let entry = keys.get(1).unwrap();
    entry.touch(10);
    entry.touch(20);
    assert_eq!(keys.take_touched(), [Touched { key_id: 1, accessed_at_ms: 20 }]);
    assert_eq!(keys.take_touched(), []);
    entry.touch(30);
    keys.get(2).unwrap().touch(5);
    keys.apply_change(row(2, None));
    assert_eq!(keys.take_touched(), [Touched { key_id: 1, accessed_at_ms: 30 }]);
}

#[test]
fn keys_change_while_they_are_looked_up() {
    let keys = Keys::new();
    keys.apply_change(row(0, Some([0; 32])));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for id in 1..=2_000_i64 {
                let mut digest = [0; 32];
                digest[..8].copy_from_slice(&id.to_le_bytes());
                keys.apply_change(row(id, Some(digest)));
                if id % 2 == 0 {
                    keys.apply_change(row(id, None));
                }
            }
        });
        scope.spawn(|| (0..20_000).for_each(|_| assert!(keys.find(&[0; 32]).is_some())));
    });
    assert_eq!(keys.len(), 1_001);
}
