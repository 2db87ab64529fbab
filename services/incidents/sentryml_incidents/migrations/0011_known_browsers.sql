-- Browsers in which the owner of an account has signed in before: the waits that others cause are not theirs.
--
-- Of the browser's cookie only the SHA-256 is kept. Attempts of a known browser are counted apart from all others.

CREATE TABLE known_browser (
  browser_hash text        NOT NULL CONSTRAINT known_browser_form CHECK (browser_hash ~ '^[0-9a-f]{64}$'),
  account_hash text        NOT NULL CONSTRAINT known_browser_account_form CHECK (account_hash ~ '^[0-9a-f]{64}$'),
  network      text        NOT NULL,
  signed_in_at timestamptz NOT NULL,
  CONSTRAINT known_browser_key PRIMARY KEY (browser_hash, account_hash)
);

-- Networks from which an account has been signed in to.
CREATE INDEX known_browser_of_account ON known_browser (account_hash, network);
-- Clean-up of what is too old.
CREATE INDEX known_browser_age ON known_browser (signed_in_at);

-- Set for attempts of a browser that is known.
ALTER TABLE sign_in_attempt ADD COLUMN browser_hash text
  CONSTRAINT sign_in_attempt_browser_form CHECK (browser_hash ~ '^[0-9a-f]{64}$');
