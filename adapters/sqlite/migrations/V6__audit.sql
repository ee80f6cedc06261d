-- Who did what. Lines are added and never changed or removed.
CREATE TABLE audit (
    -- In the order in which they were written.
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    -- The id of an API token, `local` or `anybody`.
    who      TEXT NOT NULL,
    -- The address that it came from; NULL where it came from the machine itself.
    address  TEXT,
    action   TEXT NOT NULL,
    subject  BLOB,
    detail   TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is not changed'); END;

CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is not shortened'); END;
