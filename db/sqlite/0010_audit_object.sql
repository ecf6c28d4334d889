-- What was done to one thing (a key, a person) is looked for without reading the whole audit.
CREATE INDEX audit_object ON audit (object);
