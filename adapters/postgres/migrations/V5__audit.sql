-- Who did what. Lines are added and never changed or removed.
CREATE TABLE audit (
    -- In the order in which they were written, but for those of calls that shared a moment.
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz(3) NOT NULL,
    -- The id of an API token, `local` or `anybody`.
    who      text NOT NULL,
    -- The address that it came from; NULL where it came from the machine itself.
    address  text,
    action   text NOT NULL,
    subject  uuid,
    detail   text NOT NULL
);

CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is neither changed nor shortened';
END $$;

CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();
