-- What a person did about a delivery: when it was replayed, whether the service had
-- it already then, and when it was cancelled or its dead letter discarded.
-- A delivery's state may now be 5 cancelled, and 7 dead and discarded; a cancelled
-- one that was never tried gets its row by that.
ALTER TABLE delivery ADD COLUMN replayed_at INTEGER;
ALTER TABLE delivery ADD COLUMN repeated INTEGER;
ALTER TABLE delivery ADD COLUMN withdrawn_at INTEGER;

CREATE INDEX delivery_cancelled ON delivery (sequence) WHERE state = 5;

-- A summary of each 1,024 sequence numbers, by which a filter of time or severity
-- passes over what cannot match. Written once, with the first alert after them, so
-- the last alerts have none yet. It says nothing of the clock's being in order, and
-- so holds when that was set back.
CREATE TABLE alert_block (
    -- The sequence number divided by 1,024.
    block  INTEGER PRIMARY KEY,
    -- The earliest and the latest time of acceptance.
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    -- How many alerts of each severity were accepted.
    low    INTEGER NOT NULL,
    normal INTEGER NOT NULL,
    high   INTEGER NOT NULL
) STRICT;

INSERT INTO alert_block (block, first_at, last_at, low, normal, high)
SELECT sequence >> 10, min(accepted_at), max(accepted_at),
       sum(severity = 0), sum(severity = 1), sum(severity = 2)
FROM alert
WHERE sequence < (SELECT max(sequence) >> 10 << 10 FROM alert)
GROUP BY sequence >> 10;

-- What became of deliveries, a row a commit that changed any, packed as src/feed.rs
-- says. The last rows are kept.
CREATE TABLE feed (
    id    INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    -- The last alert that was accepted by then.
    alert INTEGER NOT NULL,
    body  BLOB NOT NULL
) STRICT;

-- To say of a delivery what became of its digest.
CREATE UNIQUE INDEX digest_by_id ON digest (id);
