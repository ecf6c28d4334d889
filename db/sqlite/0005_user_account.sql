-- What a user's keys have spent: the sum of the user's rows in the ledger, written in the same transaction as they are.
CREATE TABLE user_account (
    user        TEXT    PRIMARY KEY,
    spent_nanos INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO user_account (user, spent_nanos)
    SELECT user, sum(cost_nanos) FROM ledger WHERE user IS NOT NULL GROUP BY user;

-- The period that a person's budget runs in, and what the person had spent when it began.
CREATE TABLE budget_period (
    person_id  INTEGER PRIMARY KEY,
    start_ms   INTEGER NOT NULL,
    base_nanos INTEGER NOT NULL
) STRICT;
