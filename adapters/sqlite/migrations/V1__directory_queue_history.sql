-- Times are UTC milliseconds. UUIDs are 16-byte blobs. STRICT throughout.

-- What this database needs to know of itself: `fingerprint_key`.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

---------------------------------------------------------------- directory

CREATE TABLE users (
    id         BLOB PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE noti_group (
    id         BLOB PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    "desc"     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE noti_group_user (
    noti_group_id BLOB NOT NULL REFERENCES noti_group (id) ON DELETE CASCADE,
    user_id       BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (noti_group_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX noti_group_user_by_user ON noti_group_user (user_id);

-- A place that messages go to. The id is a hash of the other three, the same in
-- every store. An empty base URL is the one its channel is configured with.
CREATE TABLE destination (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    base_url   TEXT NOT NULL,
    address    TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- One version of a secret. A changed token is a new row; deliveries refer to the
-- row they were accepted with. `retired_at` is set when the last user has left the
-- row: first to 2^63-1, then to 2^63-2, at last to the sequence of the last alert
-- that may refer to it (src/writer/retired.rs). Once nothing up to there is open or
-- dead-lettered, nothing refers to it and it is removed. Ids are never used again.
CREATE TABLE credential (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    secret      BLOB NOT NULL,
    -- HMAC-SHA-256 of the secret under meta.fingerprint_key, to find an equal one.
    fingerprint BLOB NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    retired_at  INTEGER
) STRICT;

CREATE INDEX credential_retired ON credential (retired_at) WHERE retired_at IS NOT NULL;

-- Where a user is told, in their order; position 0 is the contract's token and channelId.
CREATE TABLE user_destination (
    user_id        BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    position       INTEGER NOT NULL,
    destination_id INTEGER NOT NULL REFERENCES destination (id),
    credential_id  INTEGER NOT NULL REFERENCES credential (id),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (user_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_destination_by_credential ON user_destination (credential_id);

--------------------------------------------------------- queue and history

-- One row an alert, written once. `sequence` is the order of acceptance.
-- `targets` and `recipients` are packed as src/packed.rs says.
CREATE TABLE alert (
    sequence    INTEGER PRIMARY KEY,
    id          BLOB NOT NULL,
    -- The caller's API token, where the API asks for one.
    caller      TEXT,
    gtid        TEXT NOT NULL,
    severity    INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    message     TEXT NOT NULL,
    targets     BLOB NOT NULL,
    recipients  BLOB NOT NULL
) STRICT;

-- The alerts of which `open` deliveries have not ended: the queue. Small, so that
-- what is written and deleted all the time stays on a few pages.
CREATE TABLE open_alert (
    severity INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    open     INTEGER NOT NULL,
    PRIMARY KEY (severity, sequence)
) STRICT, WITHOUT ROWID;

-- A delivery that has ended, or waits on its own. One that has not been tried yet
-- and is not parked has no row.
-- state: 1 waiting, 2 parked, 3 delivered, 4 dead; 5 and 6 are kept for cancelled
-- and digested.
CREATE TABLE delivery (
    sequence       INTEGER NOT NULL,
    ordinal        INTEGER NOT NULL,
    destination_id INTEGER NOT NULL,
    severity       INTEGER NOT NULL,
    state          INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    parts_sent     INTEGER NOT NULL,
    -- While waiting: not before this time, whose fault it is, and whether the
    -- service asked for it (Retry-After).
    -- fault: 1 destination, 2 payload, 3 credential, 4 host, 5 unclear.
    wait_until     INTEGER,
    wait_fault     INTEGER,
    wait_asked     INTEGER,
    -- Why it is dead.
    reason         TEXT,
    -- The last attempt.
    started_at     INTEGER,
    took_us        INTEGER,
    result         INTEGER,
    status         INTEGER,
    error          TEXT,
    provider_id    TEXT,
    PRIMARY KEY (sequence, ordinal)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_waiting ON delivery (wait_until) WHERE state = 1;
CREATE INDEX delivery_parked ON delivery (destination_id, severity, sequence, ordinal) WHERE state = 2;
CREATE INDEX delivery_dead ON delivery (sequence, ordinal) WHERE state = 4;

-- The attempts that another one followed; the last stands in `delivery`.
-- result: 1 accepted, 2 refused, 3 maybe accepted.
CREATE TABLE attempt (
    sequence    INTEGER NOT NULL,
    ordinal     INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    took_us     INTEGER NOT NULL,
    result      INTEGER NOT NULL,
    status      INTEGER,
    error       TEXT,
    provider_id TEXT,
    PRIMARY KEY (sequence, ordinal, number)
) STRICT, WITHOUT ROWID;

-- Requests that were answered, by the key that their caller gave them.
CREATE TABLE idempotency_key (
    scope       TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    answer      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at);
