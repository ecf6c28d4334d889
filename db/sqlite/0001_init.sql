-- Amounts are in nano-USD, times in Unix milliseconds, flags 0 or 1.

-- Marks the file as ours: "TGLG".
PRAGMA application_id = 1413958727;

-- The keys that we issue. Commands write here, beside a running server; balances are the server's (table account).
-- A deleted key keeps its row, without a digest, so that a server hears of it and its id is not used again.
CREATE TABLE key (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL,
    digest        BLOB    UNIQUE CHECK (length(digest) = 32),
    user          TEXT,
    group_name    TEXT    NOT NULL,
    models        TEXT    NOT NULL, -- JSON array; empty: all of the group
    enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    expires_at_ms INTEGER,
    quota_nanos   INTEGER,          -- NULL: unlimited
    rpm           INTEGER,
    tpm           INTEGER,
    concurrency   INTEGER,
    created_at_ms INTEGER NOT NULL,
    deleted_at_ms INTEGER,
    version       INTEGER NOT NULL  -- of the whole table; every change takes the next one
) STRICT;
CREATE UNIQUE INDEX key_name ON key (name) WHERE deleted_at_ms IS NULL;
CREATE UNIQUE INDEX key_version ON key (version);

-- What a key has spent: the sum of its rows in the ledger, written in the same transaction as they are.
CREATE TABLE account (
    key_id         INTEGER PRIMARY KEY,
    spent_nanos    INTEGER NOT NULL DEFAULT 0,
    accessed_at_ms INTEGER
) STRICT;

-- One row for each request that was sent towards an upstream. Never changed.
CREATE TABLE ledger (
    sequence            INTEGER PRIMARY KEY, -- 1, 2, 3 … without gaps
    request_id          BLOB    NOT NULL UNIQUE,
    started_at_ms       INTEGER NOT NULL,
    key_id              INTEGER NOT NULL,
    key_name            TEXT    NOT NULL,
    user                TEXT,
    group_name          TEXT    NOT NULL,
    endpoint            TEXT    NOT NULL,
    dialect             TEXT    NOT NULL,
    model               TEXT    NOT NULL,
    upstream            TEXT    NOT NULL,
    upstream_model      TEXT    NOT NULL,
    stream              INTEGER NOT NULL,
    status              INTEGER NOT NULL,
    outcome             TEXT    NOT NULL,
    input_tokens        INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens  INTEGER NOT NULL,
    output_tokens       INTEGER NOT NULL,
    reasoning_tokens    INTEGER NOT NULL,
    usage_source        TEXT    NOT NULL,
    cost_nanos          INTEGER NOT NULL,
    held_nanos          INTEGER NOT NULL,
    overshoot           INTEGER NOT NULL,
    disbelieved         INTEGER NOT NULL,
    price_version       TEXT    NOT NULL,
    price_missing       INTEGER NOT NULL,
    service_tier        TEXT    NOT NULL,
    detail              TEXT,                -- JSON; NULL: none of the finer classes
    extras              TEXT,                -- JSON array; NULL: none
    attempts            INTEGER NOT NULL,
    ttft_ms             INTEGER,
    duration_ms         INTEGER NOT NULL,
    error_code          TEXT,
    hash                BLOB    NOT NULL     -- SHA-256 over the row before's hash and this row
) STRICT;
CREATE INDEX ledger_started ON ledger (started_at_ms);
CREATE INDEX ledger_key ON ledger (key_id, started_at_ms);

-- The last row of the ledger, so that rows missing at the end are noticed.
CREATE TABLE chain_head (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL,
    hash     BLOB    NOT NULL
) STRICT;
INSERT INTO chain_head (id, sequence, hash) VALUES (1, 0, zeroblob(32));

-- Gateway processes that have not ended cleanly, and how far their journals are in the ledger.
CREATE TABLE writer (
    id          BLOB    PRIMARY KEY,
    journal_dir TEXT    NOT NULL,
    segment     INTEGER NOT NULL,
    byte_offset INTEGER NOT NULL,
    sequence    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Requests that were running where the journal's part in the ledger ends.
CREATE TABLE open_hold (
    request_id BLOB    PRIMARY KEY,
    writer_id  BLOB    NOT NULL,
    key_id     INTEGER NOT NULL,
    held_nanos INTEGER NOT NULL,
    opening    TEXT    NOT NULL, -- JSON
    progress   TEXT              -- JSON; NULL: none yet
) STRICT, WITHOUT ROWID;
