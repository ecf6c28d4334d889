//! What the console keeps: people and their sessions, codes, weights, and the audit of all that is changed through it and by the
//! command line, keys too. Every change stands in one transaction with its audit row.

use super::{KeyChange, KeyListing, NewKey, Result};
use std::collections::{BTreeMap, BTreeSet};
use tollgate_plugin_api::CredentialDigest;

/// What somebody may do; each may do what the ones before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Own keys, usage and logs.
    User,
    /// Everything but people, their roles, the audit and the settings.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Self; 3] = [Self::User, Self::Operator, Self::Admin];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// How often a budget begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// At midnight.
    Daily,
    /// On Monday at midnight.
    Weekly,
    /// On the first at midnight.
    Monthly,
}

impl Period {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Daily, Self::Weekly, Self::Monthly];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }

    /// The period with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == word)
    }
}

/// What somebody may spend in each period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// In nano-USD.
    pub amount_nanos: i64,
    /// How often it begins anew.
    pub period: Period,
    /// An IANA name: where it is midnight then.
    pub time_zone: String,
}

/// Somebody who uses the console. Without the password, of which nobody outside the store but the sign-in hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The row's id.
    pub id: i64,
    /// The name, which keys have as their `user`.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// False: they cannot sign in.
    pub enabled: bool,
    /// What all their keys may spend together, in nano-USD; `None`: unlimited.
    pub quota_nanos: Option<i64>,
    /// Unix time in milliseconds.
    pub created_at_ms: i64,
    /// Unix time in milliseconds.
    pub last_login_at_ms: Option<i64>,
}

/// A person as listings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonListing {
    /// Who.
    pub person: Person,
    /// What they may spend in each period; `None`: no such limit.
    pub budget: Option<Budget>,
    /// What all their keys have spent, deleted ones too, in nano-USD.
    pub spent_nanos: i64,
    /// What running requests hold, in nano-USD.
    pub held_nanos: i64,
    /// False: they cannot sign in before they get a password.
    pub has_password: bool,
}

/// A person to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPerson {
    /// 1 to 128 bytes without control characters, not beginning as [`Act::PROGRAM`] does; nobody had it before.
    pub name: String,
    /// [`Person::role`].
    pub role: Role,
    /// [`Person::enabled`].
    pub enabled: bool,
    /// Of the password, as PHC writes it; `None`: they cannot sign in before they get one.
    pub password_hash: Option<String>,
    /// [`Person::quota_nanos`].
    pub quota_nanos: Option<i64>,
    /// [`PersonListing::budget`].
    pub budget: Option<Budget>,
}

/// Changes to a person. `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonChange {
    /// [`Person::role`].
    pub role: Option<Role>,
    /// [`Person::enabled`]; false ends their sessions.
    pub enabled: Option<bool>,
    /// [`Person::quota_nanos`].
    pub quota_nanos: Option<Option<i64>>,
    /// [`PersonListing::budget`].
    pub budget: Option<Option<Budget>>,
    /// [`NewPerson::password_hash`]; a new one ends their sessions.
    pub password_hash: Option<String>,
}

/// SHA-256 of a secret that is shown once: a session's, a code's.
pub type SecretDigest = [u8; 32];

/// A session ends so long after it began, however it is used (or, if that is longer, when it may have been unused for so long), in
/// milliseconds: 30 days.
pub const SESSION_AGE_MS_MAX: i64 = 30 * 24 * 3_600_000;

/// A session that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose.
    pub person: Person,
    /// Of its secret.
    pub digest: SecretDigest,
    /// That it is used now is to be noted ([`People::sessions_used`]).
    pub is_use_news: bool,
}

/// A code as listings show it; the code itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The row's id.
    pub id: i64,
    /// What it is worth, in nano-USD.
    pub amount_nanos: i64,
    /// Unix time in milliseconds.
    pub created_at_ms: i64,
    /// Unix time in milliseconds from which it is worth nothing.
    pub expires_at_ms: Option<i64>,
    /// Unix time in milliseconds.
    pub redeemed_at_ms: Option<i64>,
    /// By whom.
    pub redeemed_by: Option<String>,
}

/// Who changes something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Unix time in milliseconds.
    pub at_ms: i64,
    /// A person's name; or the program's own: [`Act::GATEWAY`], or a command and whose process it was.
    pub actor: String,
}

impl Act {
    /// What the program's own names begin with, and no person's.
    pub const PROGRAM: &str = "tollgate ";
    /// Who does what nobody asked for.
    pub const GATEWAY: &str = "tollgate serve";

    /// What a command does: `tollgate key (ann, uid 1000)`.
    pub fn of_command(command: &str, whose: &str, at_ms: i64) -> Self {
        Self { at_ms, actor: format!("{}{command} ({whose})", Self::PROGRAM) }
    }

    /// Nobody's who is signed in at the console.
    pub fn is_programs(&self) -> bool {
        self.actor.starts_with(Self::PROGRAM)
    }
}

/// A row of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number.
    pub id: i64,
    /// Unix time in milliseconds.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What was done: `key.create`.
    pub action: String,
    /// To what: `key 7`.
    pub object: String,
    /// JSON, without secrets; `None`: it was not there.
    pub before: Option<String>,
    /// JSON, without secrets; `None`: it is not there any more.
    pub after: Option<String>,
}

/// Something as it was before a change, and as it is now: JSON, without secrets, as in an [`AuditRow`].
pub type Images = (Option<String>, Option<String>);

/// A part of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Behind the row with this id; `None`: from the beginning.
    pub after: Option<i64>,
    /// Not more rows than this.
    pub limit: u32,
}

/// What the console keeps. As of [`Store`](super::Store), every method may wait for the disk.
pub trait People: Send + Sync {
    /// Whether anybody has a password. People who were taken over from elsewhere have none.
    ///
    /// # Errors
    /// The store.
    fn has_password(&self) -> Result<bool>;

    /// Makes the first person who can sign in; `None`: there is somebody already. A name that is taken gets a number behind it.
    ///
    /// # Errors
    /// A value is not acceptable; otherwise the store.
    fn person_first(&self, act: &Act, new: &NewPerson) -> Result<Option<PersonListing>>;

    /// Makes a person.
    ///
    /// # Errors
    /// The name is or was somebody's, a value is not acceptable; otherwise the store.
    fn person_create(&self, act: &Act, new: &NewPerson) -> Result<PersonListing>;

    /// The person, unless deleted.
    ///
    /// # Errors
    /// The store.
    fn person(&self, id: i64) -> Result<Option<PersonListing>>;

    /// Everybody who is not deleted, by id.
    ///
    /// # Errors
    /// The store.
    fn persons(&self, page: Page) -> Result<Vec<PersonListing>>;

    /// Names of people that begin as the program's own do ([`Act::PROGRAM`]): from before nobody could be called so. The first
    /// so many, by id, without those that are deleted.
    ///
    /// # Errors
    /// The store.
    fn persons_named_as_programs(&self, limit: u32) -> Result<Vec<String>>;

    /// Changes a person.
    ///
    /// # Errors
    /// Nobody has that id, no admin would be left, a value is not acceptable; otherwise the store.
    fn person_change(&self, act: &Act, id: i64, change: &PersonChange) -> Result<PersonListing>;

    /// Deletes a person, with sessions and keys.
    ///
    /// # Errors
    /// Nobody has that id, no admin would be left; otherwise the store.
    fn person_delete(&self, act: &Act, id: i64) -> Result<()>;

    /// Adds to a quota.
    ///
    /// # Errors
    /// Nobody has that id, or nothing limits them; otherwise the store.
    fn person_topup(&self, act: &Act, id: i64, amount_nanos: i64, note: &str) -> Result<PersonListing>;

    /// Somebody who can sign in with a password, and its hash.
    ///
    /// # Errors
    /// The store.
    fn password_of(&self, name: &str) -> Result<Option<(Person, String)>>;

    /// Signs somebody in whose password was compared with this hash; the sessions `instead_of` end.
    ///
    /// # Errors
    /// They cannot sign in any more, or have another password by now: no such person; otherwise the store.
    fn session_begin(
        &self,
        act: &Act,
        id: i64,
        compared: &str,
        digest: &SecretDigest,
        instead_of: &[SecretDigest],
    ) -> Result<PersonListing>;

    /// Gives somebody another password, whose old one was compared with this hash. All their sessions end, and this one begins.
    ///
    /// # Errors
    /// As of [`People::session_begin`].
    fn password_change(&self, act: &Act, id: i64, compared: &str, hash: &str, digest: &SecretDigest) -> Result<()>;

    /// The first of these sessions that is in force: used within `idle_ms_max`, and begun within that or [`SESSION_AGE_MS_MAX`].
    ///
    /// # Errors
    /// The store.
    fn session_find(&self, digests: &[SecretDigest], now_ms: i64, idle_ms_max: i64) -> Result<Option<Session>>;

    /// Notes when sessions were used; those that are not in force any more go.
    ///
    /// # Errors
    /// The store.
    fn sessions_used(&self, used_at_ms: &[(SecretDigest, i64)], now_ms: i64, idle_ms_max: i64) -> Result<()>;

    /// Ends a session.
    ///
    /// # Errors
    /// The store.
    fn session_end(&self, act: &Act, digest: &SecretDigest) -> Result<()>;

    /// Makes codes of one amount.
    ///
    /// # Errors
    /// The store.
    fn codes_create(
        &self,
        act: &Act,
        amount_nanos: i64,
        expires_at_ms: Option<i64>,
        digests: &[SecretDigest],
    ) -> Result<Vec<CodeRow>>;

    /// Every code, by id.
    ///
    /// # Errors
    /// The store.
    fn codes(&self, page: Page) -> Result<Vec<CodeRow>>;

    /// Deletes a code that nobody has redeemed.
    ///
    /// # Errors
    /// No such code, or it was redeemed; otherwise the store.
    fn code_delete(&self, act: &Act, id: i64) -> Result<()>;

    /// Adds a code's amount to somebody's quota, once: the amount, and the person then.
    ///
    /// # Errors
    /// No such code, or it has expired; it was redeemed, or nothing limits them; otherwise the store.
    fn code_redeem(&self, act: &Act, digest: &SecretDigest, person_id: i64) -> Result<(i64, PersonListing)>;

    /// Keys that are not deleted, by id: of this person, or of everybody.
    ///
    /// # Errors
    /// The store.
    fn keys_of(&self, user: Option<&str>, page: Page) -> Result<Vec<KeyListing>>;

    /// How many keys each group has: this person's, or everybody's.
    ///
    /// # Errors
    /// The store.
    fn keys_by_group(&self, user: Option<&str>) -> Result<BTreeMap<String, u64>>;

    /// The groups in which this person has been given keys by others: of those that are enabled and have not expired by then.
    ///
    /// # Errors
    /// The store.
    fn groups_given(&self, user: &str, at_ms: i64) -> Result<BTreeSet<String>>;

    /// Makes a key with this credential.
    ///
    /// # Errors
    /// The name is taken or a value is not acceptable; otherwise the store.
    fn key_create_by(&self, act: &Act, new: &NewKey, digest: &CredentialDigest) -> Result<KeyListing>;

    /// Changes a key. `owner`: only if it is this person's, who is a user; what else there is, is not there for them. Limits that
    /// somebody else has set they make no wider. A name that they
    /// give it finds it for no token and no wallet; the one that it has already changes nothing, unless a command gives it: who types
    /// it means it.
    ///
    /// # Errors
    /// No such key, the new name is taken, a value is not acceptable; otherwise the store.
    fn key_change_by(&self, act: &Act, id: i64, owner: Option<&str>, change: &KeyChange) -> Result<KeyListing>;

    /// Gives a key another credential; the old one is refused from then on.
    ///
    /// # Errors
    /// No such key; otherwise the store.
    fn key_rotate_by(&self, act: &Act, id: i64, owner: Option<&str>, digest: &CredentialDigest) -> Result<KeyListing>;

    /// Deletes a key. Its rows in the ledger stay, with its name.
    ///
    /// # Errors
    /// No such key; otherwise the store.
    fn key_delete_by(&self, act: &Act, id: i64, owner: Option<&str>) -> Result<()>;

    /// Weights in place of the file's, by upstream.
    ///
    /// # Errors
    /// The store.
    fn weights(&self) -> Result<BTreeMap<String, u32>>;

    /// Puts a weight in the place of the file's; `None`: the file's holds again.
    ///
    /// # Errors
    /// The store.
    fn weight_set(&self, act: &Act, upstream: &str, weight: Option<u32>) -> Result<()>;

    /// Notes a change of something that is not kept here. `before` and `after` are JSON, without secrets.
    ///
    /// # Errors
    /// The store.
    fn note(&self, act: &Act, action: &str, object: &str, before: Option<&str>, after: Option<&str>) -> Result<()>;

    /// The same, of a change that `make` makes elsewhere, in a file. It is told the last row of the same object, and says how
    /// that was and is now; `None`: it changed nothing. The row's transaction begins before it, so that it is not called where
    /// nothing can be written, and is given up if it fails. Whether a row was added; an error may also come after `make` succeeded.
    ///
    /// # Errors
    /// The store, or `make`.
    fn note_made(
        &self,
        act: &Act,
        action: &str,
        object: &str,
        make: &mut dyn FnMut(Option<AuditRow>) -> Result<Option<Images>>,
    ) -> Result<bool>;

    /// The audit, the latest first: `after` is the id that comes before the page. All of it, or what was done to one thing.
    ///
    /// # Errors
    /// The store.
    fn audit_rows(&self, page: Page, object: Option<&str>) -> Result<Vec<AuditRow>>;
}
