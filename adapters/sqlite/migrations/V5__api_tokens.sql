-- Who may call the API. Rows stay when a token is revoked, so that its callers are told
-- so, and so that an API that asked for tokens goes on asking.
CREATE TABLE api_token (
    id          BLOB PRIMARY KEY,
    name        TEXT NOT NULL,
    -- SHA-256 of the token's random bytes; the token itself is nowhere.
    hash        BLOB NOT NULL UNIQUE,
    -- A space between each two.
    scopes      TEXT NOT NULL,
    -- The groups that its alerts may be for: their ids, one after the other. NULL where it
    -- may target anybody; a group that is deleted stays here, so that nothing widens.
    noti_groups BLOB,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX api_token_name ON api_token (name) WHERE revoked_at IS NULL;
