-- The name by which a token or a wallet finds a key: the one that somebody more than a user gave it (an operator, an admin, the command
-- line). Users name their own keys, too, and must not take the name that another's token means. Only while it is the key's name is the
-- key found so: what a version before this one makes or renames beside it is valid, and found by its credential alone.
ALTER TABLE key ADD COLUMN identity TEXT;

UPDATE key SET identity = name WHERE deleted_at_ms IS NULL;

-- Of the names that there are, those that a user chose: the last row of the audit that gave the key this name is a user's. (What the
-- command line named has no row.)
UPDATE key SET identity = NULL WHERE id IN (
    SELECT key.id
    FROM (
        SELECT object, json_extract(after, '$.name') AS name, actor, max(id)
        FROM audit
        WHERE action IN ('key.create', 'key.change')
            AND json_extract(before, '$.name') IS NOT json_extract(after, '$.name')
        GROUP BY object, json_extract(after, '$.name')
    ) AS named
    JOIN key ON key.id = CAST(substr(named.object, 5) AS INTEGER) AND key.name = named.name
    JOIN person ON person.name = named.actor AND person.role = 'user'
);
