-- Sums over the ledger's rows, so that lists and charts need not read every row. A tally is what `store::tally` writes:
-- requests, counts, costs, latencies. They are kept in the transaction that adds the rows; what another version added
-- without them is caught up with, from chain_head.rolled_up on. Made anew from the rows at any time.

-- By span (in milliseconds: a minute, an hour, a day) and its number since 1970; by model and upstream. The scope is
-- empty for everybody, or '=' and a user's name: their requests alone (hours and days).
CREATE TABLE rollup (
    span     INTEGER NOT NULL,
    scope    TEXT    NOT NULL,
    bucket   INTEGER NOT NULL,
    model    TEXT    NOT NULL,
    upstream TEXT    NOT NULL,
    tally    BLOB    NOT NULL,
    PRIMARY KEY (span, scope, bucket, model, upstream)
) STRICT, WITHOUT ROWID;

-- By key (hours and days). The user is the one the key had at that time; empty: none.
CREATE TABLE rollup_key (
    span   INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    user   TEXT    NOT NULL,
    tally  BLOB    NOT NULL,
    PRIMARY KEY (span, bucket, key_id, user)
) STRICT, WITHOUT ROWID;

-- Number of the last row that is in the sums.
ALTER TABLE chain_head ADD COLUMN rolled_up INTEGER NOT NULL DEFAULT 0;

-- What went wrong is looked for most, and is rare: a request that went well costs nothing here.
CREATE INDEX ledger_failed ON ledger (started_at_ms) WHERE outcome <> 'ok' OR status <> 200;

-- What routing decided for a request, where it was more than the first candidate, taken and good. JSON.
CREATE TABLE trail (
    request_id BLOB PRIMARY KEY,
    trail      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
