-- One message that carries several deliveries to one destination. Written before it
-- is sent, and never changed. `sequence` and `ordinal` are its lead's: the member
-- whose row in `delivery` holds the digest's state, attempts and wait.
CREATE TABLE digest (
    sequence INTEGER NOT NULL,
    ordinal  INTEGER NOT NULL,
    id       BLOB NOT NULL,
    text     TEXT NOT NULL,
    -- How many deliveries of each severity it carries.
    low      INTEGER NOT NULL,
    normal   INTEGER NOT NULL,
    high     INTEGER NOT NULL,
    PRIMARY KEY (sequence, ordinal, id)
) STRICT, WITHOUT ROWID;

-- Which digest carries it, or carried it. While the digest has not ended, its lead
-- has state 1 and all other members have state 6; then all have 3 or 4.
ALTER TABLE delivery ADD COLUMN digest BLOB;

CREATE INDEX delivery_digested ON delivery (digest) WHERE state = 6;
