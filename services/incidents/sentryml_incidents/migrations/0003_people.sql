-- People sign in on the pages: their sessions, and the attempts that did not lead in.
--
-- Of a session only the SHA-256 of its secret is kept. Attempts are in the database so that all replicas count
-- together. Both are deleted when their time is over (timer.py).

ALTER TABLE app_user
  ADD COLUMN disabled_at            timestamptz,
  ADD COLUMN last_signed_in_at      timestamptz,
  -- An admin has made the password: it opens until then, and has to be changed at the first sign-in.
  ADD COLUMN initial_password_until timestamptz;

CREATE TABLE session (
  session_hash text        CONSTRAINT session_key PRIMARY KEY,
  user_id      uuid        NOT NULL CONSTRAINT session_of_user REFERENCES app_user,
  created_at   timestamptz NOT NULL,
  last_seen_at timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  address      text        NOT NULL,
  user_agent   text        NOT NULL,
  CONSTRAINT session_hash_form CHECK (session_hash ~ '^[0-9a-f]{64}$'),
  CONSTRAINT session_ends_after_it_began CHECK (expires_at > created_at)
);

-- A person's sessions: the account page, and ending them all.
CREATE INDEX session_of_one_user ON session (user_id);
-- Clean-up looks at all rows: sessions are few.

CREATE TABLE sign_in_attempt (
  attempt_id   bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT sign_in_attempt_key PRIMARY KEY,
  account_hash text        NOT NULL CONSTRAINT sign_in_attempt_account_form CHECK (account_hash ~ '^[0-9a-f]{64}$'),
  network      text        NOT NULL,
  at           timestamptz NOT NULL
);

-- Throttling: an account's and a network's attempts since a time.
CREATE INDEX sign_in_attempt_of_account ON sign_in_attempt (account_hash, at);
CREATE INDEX sign_in_attempt_of_network ON sign_in_attempt (network, at);
-- Clean-up of what is too old.
CREATE INDEX sign_in_attempt_age ON sign_in_attempt (at);
