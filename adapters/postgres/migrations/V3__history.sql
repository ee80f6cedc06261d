-- What became of alerts. The producers make it of what the queue tells
-- (src/history/record) and read it for the API. It can be looked at with SQL, not edited:
-- what is counted and told of would not follow.
--
-- Times here are UTC milliseconds, since they come from other processes' records and may
-- be any number: to_timestamp(accepted_at / 1000.0) shows one.

-- One row an alert. `sequence` is the order of acceptance: the offset of its record.
CREATE TABLE alert (
    sequence       bigint PRIMARY KEY,
    accepted_at    bigint NOT NULL,
    id             uuid NOT NULL,
    user_count     integer NOT NULL,
    delivery_count integer NOT NULL,
    -- 0 low, 1 normal, 2 high.
    severity       smallint NOT NULL,
    -- Delivered without the severity before it.
    verbatim       boolean NOT NULL,
    gtid           text NOT NULL,
    -- In texts U+0000, which PostgreSQL does not hold, is U+FFFD.
    message        text NOT NULL,
    targets        text[] NOT NULL,
    -- Its deliveries, packed as crates/common/src/packed.rs says: 29 bytes for most.
    recipients     bytea NOT NULL
);

-- Random bytes, which compression would be tried on in vain.
ALTER TABLE alert ALTER COLUMN recipients SET STORAGE EXTERNAL;

-- An id begins with a time, as a delivery's does with the same, so this finds both.
-- Not unique: the same id a hundred thousand alerts later is another alert.
CREATE INDEX alert_by_id ON alert (id);

-- Ids that came again, and are another record of an alert that is there: where the last
-- of them was, since it is from there that the hundred thousand count.
CREATE TABLE alert_repetition (
    sequence bigint PRIMARY KEY,
    id       uuid NOT NULL
);

CREATE INDEX alert_repetition_by_id ON alert_repetition (id);

-- A delivery of which an outcome is known. One that has not been tried has no row.
--
-- state: 1 on its way (waiting, where there is wait_until), 2 parked, 3 delivered,
-- 4 dead, 5 cancelled, 6 carried by a digest that has not ended, 7 dead and discarded.
-- result: 1 accepted, 2 refused, 3 maybe accepted.
--
-- The order of columns leaves no gaps; a delivery that arrived at once takes 92 bytes,
-- and 28 in the index.
CREATE TABLE delivery (
    sequence     bigint NOT NULL,
    -- The last attempt: those before it are in `attempt`.
    started_at   bigint,
    ordinal      integer NOT NULL,
    took_us      integer,
    attempts     integer NOT NULL,
    parts_sent   integer NOT NULL,
    state        smallint NOT NULL,
    result       smallint,
    status       smallint,
    provider_id  text,
    error        text,
    -- Why it is dead.
    reason       text,
    -- While waiting: not before this time.
    wait_until   bigint,
    -- The digest that carries it, or carried it.
    digest       uuid,
    -- When it was replayed, and whether the service had it already then.
    replayed_at  bigint,
    repeated     boolean,
    -- When it was cancelled, or its dead letter discarded.
    withdrawn_at bigint,
    -- Since when somebody is asking for its replay.
    claimed_at   bigint,
    PRIMARY KEY (sequence, ordinal)
);

CREATE INDEX delivery_dead ON delivery (sequence, ordinal) WHERE state = 4;
CREATE INDEX delivery_cancelled ON delivery (sequence) WHERE state = 5;

-- The attempts that another one followed.
CREATE TABLE attempt (
    sequence    bigint NOT NULL,
    started_at  bigint NOT NULL,
    ordinal     integer NOT NULL,
    number      integer NOT NULL,
    took_us     integer NOT NULL,
    result      smallint NOT NULL,
    status      smallint,
    error       text,
    provider_id text,
    PRIMARY KEY (sequence, ordinal, number)
);

-- One message that carries several deliveries. `sequence` and `ordinal` are its lead's:
-- the member whose row holds the digest's state, attempts and wait.
CREATE TABLE digest (
    id         uuid PRIMARY KEY,
    sequence   bigint NOT NULL,
    ordinal    integer NOT NULL,
    -- How many it carries.
    deliveries integer NOT NULL
);

CREATE INDEX digest_by_lead ON digest (sequence);

-- The tokens of deliveries that came with theirs and whose user is in no directory
-- (credential 0): to replay them with.
CREATE TABLE adopted_credential (
    sequence bigint NOT NULL,
    ordinal  integer NOT NULL,
    secret   bytea NOT NULL,
    PRIMARY KEY (sequence, ordinal)
);

-- A summary of each 1,024 sequence numbers, by which a reader passes over what cannot
-- match: the earliest and the latest time of acceptance (none where no alert is known
-- yet), how many alerts of each severity, and how many deliveries have not ended.
CREATE TABLE alert_block (
    -- The sequence number divided by 1,024.
    block    bigint PRIMARY KEY,
    first_at bigint,
    last_at  bigint,
    low      integer NOT NULL,
    normal   integer NOT NULL,
    high     integer NOT NULL,
    open     bigint NOT NULL
) WITH (fillfactor = 50);

-- What happened, in the order of commits: a row a commit, packed as src/history/feed.rs
-- says. `told` counts the events up to its end. The last million are kept.
CREATE TABLE feed (
    id   bigint PRIMARY KEY,
    told bigint NOT NULL,
    body bytea NOT NULL
);

-- What happened to deliveries whose alert is not recorded yet, in order: told after it.
CREATE TABLE history_untold (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sequence bigint NOT NULL,
    ordinal  integer NOT NULL,
    at       bigint NOT NULL,
    state    smallint NOT NULL
);

-- How far each log of the queue is recorded: the number of an outcomes' partition, or -1
-- for the alerts. Written with what was recorded, so whatever is read again is passed over.
CREATE TABLE history_log (
    log  integer PRIMARY KEY,
    next bigint NOT NULL
);

-- One row, which whoever writes here holds locked until the commit: so commits have one
-- order, and nobody counts what another is about to change.
CREATE TABLE history_state (
    -- The last row of the feed, and the events told up to there.
    feed       bigint NOT NULL,
    told       bigint NOT NULL,
    -- When somebody last trimmed, so that one process at a time does.
    trimmed_at bigint NOT NULL
);

CREATE UNIQUE INDEX history_state_is_one_row ON history_state ((true));

INSERT INTO history_state (feed, told, trimmed_at) VALUES (0, 0, 0);
