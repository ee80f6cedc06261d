-- From here on secrets are sealed, in the format of adapters/sealing/src/column.rs:
--
--   credential.sealed          for the place credential/<id>
--   adopted_credential.sealed  for the place adopted_credential/<sequence>/<ordinal>
--
-- SQL has no key. A secret may still be written by hand into `secret`, in the clear, as the
-- first migration says, but without its ON CONFLICT:
--
--   WITH new AS (INSERT INTO credential (secret) VALUES ('xoxb-…') RETURNING id)
--   UPDATE user_destination p SET credential_id = new.id, updated_at = now()
--   FROM new, users u WHERE u.name = 'ann' AND p.user_id = u.id AND p.position = 0;
--
-- It counts at once, and is sealed within a minute by one of the producers, as what was
-- there before this migration is at the first start. The server's write-ahead log and its
-- backups keep what was in the clear as long as they keep anything: the API does not write it
-- in the first place.

ALTER TABLE credential DROP COLUMN fingerprint;
ALTER TABLE credential ALTER COLUMN secret DROP NOT NULL;
ALTER TABLE credential ADD COLUMN sealed bytea;
-- HMAC-SHA-256 of the secret under sealing.fingerprint_key, to find an equal one. NULL where
-- the secret was written by hand though another row had it.
ALTER TABLE credential ADD COLUMN fingerprint bytea UNIQUE;
ALTER TABLE credential ADD CHECK ((secret IS NULL) <> (sealed IS NULL));
ALTER TABLE credential ADD CHECK (octet_length(fingerprint) = 32);
CREATE INDEX credential_unsealed ON credential (id) WHERE secret IS NOT NULL;

ALTER TABLE adopted_credential ALTER COLUMN secret DROP NOT NULL;
ALTER TABLE adopted_credential ADD COLUMN sealed bytea;
ALTER TABLE adopted_credential ADD CHECK ((secret IS NULL) <> (sealed IS NULL));
CREATE INDEX adopted_credential_unsealed ON adopted_credential (sequence) WHERE secret IS NOT NULL;

-- What a credential is does not change; how it is sealed does.
DROP TRIGGER credential_keeps ON credential;
CREATE TRIGGER credential_keeps BEFORE UPDATE ON credential FOR EACH ROW
    WHEN (OLD.id IS DISTINCT FROM NEW.id
       OR (NEW.secret IS NOT NULL AND OLD.secret IS DISTINCT FROM NEW.secret)
       OR (OLD.fingerprint IS NOT NULL AND OLD.fingerprint IS DISTINCT FROM NEW.fingerprint))
    EXECUTE FUNCTION directory_keeps();

-- What the producers agree on. The row is made by the first of them.
CREATE TABLE sealing (
    one             boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- The id of the key that everybody seals with.
    key_id          text NOT NULL,
    -- The key of the fingerprints, random and sealed itself; the proof of everybody's keys.
    -- When keys are rotated it is sealed anew last.
    fingerprint_key bytea NOT NULL,
    -- Whether the tables' files may hold remains of what was in the clear.
    unscrubbed      boolean NOT NULL DEFAULT false
);
