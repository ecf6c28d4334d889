-- Idempotency keys that requests came with, for a day: digests of the caller and the key, and of what was asked.
-- What became of the request, its record or its open hold says. A request without such a key has no row here.
CREATE TABLE claim (
    digest         BLOB    PRIMARY KEY,
    request_digest BLOB    NOT NULL,
    request_id     BLOB    NOT NULL,
    started_at_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_started ON claim (started_at_ms);
