-- What a user's keys have spent: the sum of the user's rows in the ledger, written with the other sums (chain_head.rolled_up).
CREATE TABLE user_account (
    user        TEXT    PRIMARY KEY,
    spent_nanos INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The period that a person's budget runs in, and what the person had spent when it began.
CREATE TABLE budget_period (
    person_id  INTEGER PRIMARY KEY,
    start_ms   INTEGER NOT NULL,
    base_nanos INTEGER NOT NULL
) STRICT;
