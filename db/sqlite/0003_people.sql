-- People who use the console. A deleted one keeps the row, and with it the name: keys and records name people, and whoever comes
-- later must not be taken for somebody else.
CREATE TABLE person (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT    NOT NULL UNIQUE,
    role             TEXT    NOT NULL CHECK (role IN ('user', 'operator', 'admin')),
    enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    password         TEXT,             -- Argon2id, as PHC writes it; NULL: nobody comes in with a password
    quota_nanos      INTEGER,          -- of all keys together; NULL: unlimited
    created_at_ms    INTEGER NOT NULL,
    last_login_at_ms INTEGER,
    deleted_at_ms    INTEGER
) STRICT;

-- What a person may spend in each day, week or month; no row: no such limit.
CREATE TABLE budget (
    person_id    INTEGER PRIMARY KEY REFERENCES person (id),
    amount_nanos INTEGER NOT NULL,
    period       TEXT    NOT NULL CHECK (period IN ('daily', 'weekly', 'monthly')),
    time_zone    TEXT    NOT NULL
) STRICT;

-- Who is signed in.
CREATE TABLE session (
    digest        BLOB    PRIMARY KEY CHECK (length(digest) = 32), -- SHA-256 of the cookie's value
    person_id     INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    used_at_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_person ON session (person_id);

-- Codes that somebody can redeem for quota, once.
CREATE TABLE code (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    digest         BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    amount_nanos   INTEGER NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    expires_at_ms  INTEGER,
    redeemed_at_ms INTEGER,
    redeemed_by    TEXT
) STRICT;

-- What was changed through the console, in the transaction that changed it. Never changed itself.
CREATE TABLE audit (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms     INTEGER NOT NULL,
    actor     TEXT    NOT NULL,
    action    TEXT    NOT NULL, -- key.create, person.change …
    object    TEXT    NOT NULL, -- what it was done to
    before    TEXT,             -- JSON; NULL: it was not there
    after     TEXT              -- JSON; NULL: it is not there any more
) STRICT;

-- Weights in place of those in the configuration file.
CREATE TABLE upstream_weight (
    upstream TEXT    PRIMARY KEY,
    weight   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The keys of a person.
CREATE INDEX key_user ON key (user);
