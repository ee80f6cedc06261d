-- The name of a destination among its user's; NULL for the first (position 0), whose
-- name is the user's own id.
ALTER TABLE user_destination ADD COLUMN id BLOB;
