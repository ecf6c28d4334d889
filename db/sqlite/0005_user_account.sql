-- What a user's keys have spent: the sum of the user's rows in the ledger, written in the same transaction as they are.
CREATE TABLE user_account (
    user        TEXT    PRIMARY KEY,
    spent_nanos INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO user_account (user, spent_nanos)
    SELECT user, CAST(min(total(cost_nanos), 9.2e18) AS INTEGER) FROM ledger WHERE user IS NOT NULL GROUP BY user
    HAVING total(cost_nanos) >= 9.0e15;
INSERT INTO user_account (user, spent_nanos)
    SELECT user, sum(cost_nanos) FROM ledger WHERE user IS NOT NULL GROUP BY user
    HAVING total(cost_nanos) < 9.0e15;
