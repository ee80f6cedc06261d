-- The directory. Times are UTC, to the millisecond as everywhere here.
--
-- Whoever edits these tables with plain SQL is followed by every producer at once:
-- triggers write down what changed. Two things never change, since others refer to
-- them: what a destination is, and the secret of a credential. Insert another row
-- instead, and point user_destination at it:
--
--   WITH new AS (
--     INSERT INTO credential (secret) VALUES ('xoxb-…')
--     ON CONFLICT (fingerprint) DO UPDATE SET retired_at = NULL RETURNING id)
--   UPDATE user_destination p SET credential_id = new.id, updated_at = now()
--   FROM new, users u WHERE u.name = 'ann' AND p.user_id = u.id AND p.position = 0;

CREATE TABLE users (
    id         uuid PRIMARY KEY,
    name       text COLLATE "C" NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    updated_at timestamptz(3) NOT NULL DEFAULT now(),
    -- Judged at the end of a statement, so that one can exchange names.
    CONSTRAINT users_name_key UNIQUE (name) DEFERRABLE INITIALLY IMMEDIATE,
    CHECK (char_length(name) BETWEEN 1 AND 30 AND name <> 'all' AND name NOT LIKE '@%')
);

CREATE TABLE noti_group (
    id         uuid PRIMARY KEY,
    name       text COLLATE "C" NOT NULL,
    "desc"     text NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    updated_at timestamptz(3) NOT NULL DEFAULT now(),
    CONSTRAINT noti_group_name_key UNIQUE (name) DEFERRABLE INITIALLY IMMEDIATE,
    CHECK (char_length(name) BETWEEN 5 AND 30),
    CHECK (char_length("desc") BETWEEN 5 AND 200)
);

CREATE TABLE noti_group_user (
    noti_group_id uuid NOT NULL REFERENCES noti_group (id) ON DELETE CASCADE,
    user_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at    timestamptz(3) NOT NULL DEFAULT now(),
    updated_at    timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (noti_group_id, user_id)
);

CREATE INDEX noti_group_user_by_user ON noti_group_user (user_id);

-- A place that messages go to. The id is a hash of the other three, the same in every
-- store; a row written by hand gets one below zero, and whoever reads it makes the hash.
-- An empty base URL is the one its channel is configured with.
CREATE SEQUENCE destination_by_hand;
CREATE TABLE destination (
    id         bigint PRIMARY KEY DEFAULT -nextval('destination_by_hand'),
    kind       text NOT NULL,
    base_url   text NOT NULL,
    address    text NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT now()
);

-- One version of a secret. A changed token is a new row; deliveries refer to the row they
-- were accepted with. `retired_at` is when the last user left the row; long after, when
-- nothing can refer to it any more, it is removed. Ids are never used again.
CREATE TABLE credential (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    secret      bytea NOT NULL,
    -- To find an equal one; a secret may be longer than an index entry.
    fingerprint bytea GENERATED ALWAYS AS (sha256(secret)) STORED UNIQUE,
    created_at  timestamptz(3) NOT NULL DEFAULT now(),
    retired_at  timestamptz(3)
);

CREATE INDEX credential_retired ON credential (retired_at) WHERE retired_at IS NOT NULL;

-- Where a user is told, in their order; position 0 is the contract's token and channelId.
-- `id` is the name of a destination among its user's; NULL at position 0, whose name is
-- the user's own id. A user without a row at position 0 cannot be told and does not count.
CREATE TABLE user_destination (
    user_id        uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    position       smallint NOT NULL,
    id             uuid,
    destination_id bigint NOT NULL REFERENCES destination (id),
    credential_id  bigint NOT NULL REFERENCES credential (id),
    created_at     timestamptz(3) NOT NULL DEFAULT now(),
    updated_at     timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, position),
    CHECK (position >= 0),
    CHECK ((position = 0) = (id IS NULL))
);

CREATE INDEX user_destination_by_credential ON user_destination (credential_id);

------------------------------------------------------------ the log of changes

-- What changed, by id: whoever follows reads those rows anew, and what has no row any
-- longer is gone. A row a statement that changed anything.
--
-- The sequence is the order of commits: every change takes a lock before anything else
-- and holds it until its transaction has ended, so a number that can be read has no
-- lower one yet to come. The last row is never removed; that and `at` tell a follower
-- whether the log it reads is the one that it followed (after a restore it is not).
CREATE TABLE directory_change (
    sequence      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Anything may have changed.
    everything    boolean NOT NULL DEFAULT false,
    users         uuid[],
    groups        uuid[],
    -- Memberships: a group and a user at each place of the two.
    member_groups uuid[],
    member_users  uuid[]
);

CREATE INDEX directory_change_by_age ON directory_change (at);

INSERT INTO directory_change (everything) VALUES (true);

-- Held by whoever changes the directory, to the end of their transaction.
CREATE FUNCTION directory_lock() RETURNS void LANGUAGE sql AS $$
    -- 'errn' in ASCII, and the first of our locks.
    SELECT pg_advisory_xact_lock(1701999214, 1)
$$;

CREATE FUNCTION directory_before_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM directory_lock();
    RETURN NULL;
END $$;

-- Writes a change down and wakes who follows, once the transaction is committed.
CREATE FUNCTION directory_changed(
    everything boolean, users uuid[], groups uuid[], member_groups uuid[], member_users uuid[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF everything OR cardinality(users) > 0 OR cardinality(groups) > 0
       OR cardinality(member_groups) > 0 THEN
        INSERT INTO directory_change (everything, users, groups, member_groups, member_users)
        VALUES (everything, users, groups, member_groups, member_users);
        PERFORM pg_notify('directory_change', '');
    END IF;
END $$;

CREATE FUNCTION directory_users_changed() RETURNS trigger LANGUAGE plpgsql AS $$
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
    PERFORM directory_changed(false, ids, NULL, NULL, NULL);
    RETURN NULL;
END $$;

CREATE FUNCTION directory_groups_changed() RETURNS trigger LANGUAGE plpgsql AS $$
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
    PERFORM directory_changed(false, NULL, ids, NULL, NULL);
    RETURN NULL;
END $$;

CREATE FUNCTION directory_members_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    groups uuid[];
    users  uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(noti_group_id), array_agg(user_id) INTO groups, users FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(noti_group_id), array_agg(user_id) INTO groups, users FROM old_rows;
    ELSE
        SELECT array_agg(noti_group_id), array_agg(user_id) INTO groups, users FROM (
            SELECT noti_group_id, user_id FROM old_rows
            UNION SELECT noti_group_id, user_id FROM new_rows) AS both_rows;
    END IF;
    PERFORM directory_changed(false, NULL, NULL, groups, users);
    RETURN NULL;
END $$;

-- Where a user is told is part of the user. What nobody has any longer is retired.
CREATE FUNCTION directory_places_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids   uuid[];
    left_ bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        ids := ARRAY(SELECT DISTINCT user_id FROM new_rows);
    ELSIF TG_OP = 'DELETE' THEN
        ids := ARRAY(SELECT DISTINCT user_id FROM old_rows);
        left_ := ARRAY(SELECT DISTINCT credential_id FROM old_rows);
    ELSE
        ids := ARRAY(SELECT user_id FROM old_rows UNION SELECT user_id FROM new_rows);
        left_ := ARRAY(SELECT credential_id FROM old_rows EXCEPT SELECT credential_id FROM new_rows);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE credential SET retired_at = NULL
        WHERE retired_at IS NOT NULL AND id IN (SELECT credential_id FROM new_rows);
    END IF;
    IF cardinality(left_) > 0 THEN
        UPDATE credential c SET retired_at = now()
        WHERE c.id = ANY (left_) AND c.retired_at IS NULL
          AND NOT EXISTS (SELECT FROM user_destination p WHERE p.credential_id = c.id);
    END IF;
    PERFORM directory_changed(false, ids, NULL, NULL, NULL);
    RETURN NULL;
END $$;

CREATE FUNCTION directory_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM directory_changed(true, NULL, NULL, NULL, NULL);
    RETURN NULL;
END $$;

CREATE FUNCTION directory_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a % does not change, since others refer to it: insert another, and point user_destination at it',
        TG_TABLE_NAME;
END $$;

DO $$
DECLARE
    watched record;
    written regprocedure;
BEGIN
    FOR watched IN SELECT * FROM (VALUES
        ('users', 'directory_users_changed'),
        ('noti_group', 'directory_groups_changed'),
        ('noti_group_user', 'directory_members_changed'),
        ('user_destination', 'directory_places_changed')) AS t(name, function)
    LOOP
        EXECUTE format('CREATE TRIGGER directory_lock
            BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION directory_before_change()', watched.name);
        EXECUTE format('CREATE TRIGGER directory_inserted AFTER INSERT ON %I
            REFERENCING NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %I()', watched.name, watched.function);
        EXECUTE format('CREATE TRIGGER directory_updated AFTER UPDATE ON %I
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %I()', watched.name, watched.function);
        EXECUTE format('CREATE TRIGGER directory_deleted AFTER DELETE ON %I
            REFERENCING OLD TABLE AS old_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %I()', watched.name, watched.function);
        EXECUTE format('CREATE TRIGGER directory_emptied AFTER TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION directory_emptied()', watched.name);
    END LOOP;

    -- The triggers work whatever search path the session has that edits the tables.
    FOR written IN SELECT oid FROM pg_proc
        WHERE pronamespace = quote_ident(current_schema())::regnamespace
          AND proname LIKE 'directory\_%'
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', written, current_schema());
    END LOOP;
END $$;

CREATE TRIGGER destination_keeps BEFORE UPDATE ON destination FOR EACH ROW
    WHEN ((OLD.id, OLD.kind, OLD.base_url, OLD.address)
          IS DISTINCT FROM (NEW.id, NEW.kind, NEW.base_url, NEW.address))
    EXECUTE FUNCTION directory_keeps();

CREATE TRIGGER credential_keeps BEFORE UPDATE ON credential FOR EACH ROW
    WHEN ((OLD.id, OLD.secret) IS DISTINCT FROM (NEW.id, NEW.secret))
    EXECUTE FUNCTION directory_keeps();
