-- Requests by the key that their caller gave them, across all producers; kept for a day.
-- What each column is for, src/keys.rs says.
CREATE TABLE idempotency_key (
    scope            text COLLATE "C" NOT NULL,
    key              text COLLATE "C" NOT NULL,
    fingerprint      bytea NOT NULL,
    -- The alert that the request is published as, however often that is tried.
    alert_id         uuid NOT NULL,
    answer           text NOT NULL,
    -- The alert is durable.
    done             boolean NOT NULL DEFAULT false,
    -- Since when somebody has been publishing it; NULL where nobody is.
    publishing_since timestamptz,
    -- Somebody waits to hear of its end.
    is_awaited       boolean NOT NULL DEFAULT false,
    created_at       timestamptz(3) NOT NULL,
    PRIMARY KEY (scope, key)
);

CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at);
