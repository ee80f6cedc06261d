-- Who may call the API. Part of the directory: followed as users are, so that a token
-- revoked by one process, or here by hand, is soon taken by none.
--
-- Rows stay when a token is revoked, so that its callers are told so, and so that an API
-- that asked for tokens goes on asking.
CREATE TABLE api_token (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    -- SHA-256 of the token's random bytes; the token itself is nowhere.
    hash        bytea NOT NULL UNIQUE,
    -- A space between each two.
    scopes      text NOT NULL,
    -- The groups that its alerts may be for. NULL where it may target anybody; a group that
    -- is deleted stays here, so that nothing widens.
    noti_groups uuid[],
    created_at  timestamptz(3) NOT NULL DEFAULT now(),
    expires_at  timestamptz(3),
    revoked_at  timestamptz(3),
    CHECK (octet_length(hash) = 32),
    CHECK (char_length(name) BETWEEN 1 AND 60)
);

CREATE UNIQUE INDEX api_token_name ON api_token (name) WHERE revoked_at IS NULL;

ALTER TABLE directory_change ADD COLUMN api_tokens uuid[];

CREATE FUNCTION directory_api_tokens_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        ids := ARRAY(SELECT id FROM new_rows);
    ELSIF TG_OP = 'DELETE' THEN
        ids := ARRAY(SELECT id FROM old_rows);
    ELSE
        ids := ARRAY(SELECT id FROM old_rows UNION SELECT id FROM new_rows);
    END IF;
    IF cardinality(ids) > 0 THEN
        INSERT INTO directory_change (api_tokens) VALUES (ids);
        PERFORM pg_notify('directory_change', '');
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER directory_lock BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON api_token
    FOR EACH STATEMENT EXECUTE FUNCTION directory_before_change();
CREATE TRIGGER directory_inserted AFTER INSERT ON api_token REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION directory_api_tokens_changed();
CREATE TRIGGER directory_updated AFTER UPDATE ON api_token
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION directory_api_tokens_changed();
CREATE TRIGGER directory_deleted AFTER DELETE ON api_token REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION directory_api_tokens_changed();
CREATE TRIGGER directory_emptied AFTER TRUNCATE ON api_token
    FOR EACH STATEMENT EXECUTE FUNCTION directory_emptied();

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION directory_api_tokens_changed() SET search_path = %I, pg_temp',
        current_schema());
END $$;

-- The API token that an alert was posted with, where one was asked for.
ALTER TABLE alert ADD COLUMN caller uuid;
