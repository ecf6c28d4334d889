-- Under which name records of which key came: the records of a name are found by this and by the keys that have it, without looking at
-- every row. Written with the rows; what another version added without it is caught up with by and by, from chain_head.called on.
CREATE TABLE key_called (
    name   TEXT    NOT NULL,
    key_id INTEGER NOT NULL,
    PRIMARY KEY (name, key_id)
) STRICT, WITHOUT ROWID;

-- Number of the last row whose name is noted there.
ALTER TABLE chain_head ADD COLUMN called INTEGER NOT NULL DEFAULT 0;

-- Of deleted keys, too, several of which may have had one name.
CREATE INDEX key_ever_name ON key (name);
