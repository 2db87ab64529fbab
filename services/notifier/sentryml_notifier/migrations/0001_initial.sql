-- The notifier's ledger: what came, where it goes, what became of each attempt. The notifier is the only writer.
-- A row of `delivery` is never deleted and never silently given up: it ends as delivered, or stays parked with a
-- reason that people can read.

CREATE TABLE channel (
  channel_id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name            text NOT NULL,
  kind            text NOT NULL,
  -- The secret itself (a webhook's address) is not in the database at all: the row names the setting that holds
  -- it. Its SHA-256 tells a replica with an old secret from one with the new; only the latter sends.
  secret_setting  text NOT NULL,
  secret_sha256   text NOT NULL,
  state           text NOT NULL DEFAULT 'active',
  -- Why it is broken and how to mend it, in plain words.
  broken_words    text,
  -- When a broken one is tried again by itself: nobody may be looking. Null: not before something is changed.
  retry_at        timestamptz,
  -- A stored schedule, so that a restart does not forget what Slack asked for: nothing leaves before this time.
  paused_until    timestamptz,
  -- Failed attempts since the last success, over all deliveries: whether the channel itself is in trouble.
  failures        integer NOT NULL DEFAULT 0,
  CONSTRAINT channel_name_unique UNIQUE (name),
  CONSTRAINT channel_kind_known CHECK (kind IN ('slack_webhook')),
  CONSTRAINT channel_state_known CHECK (state IN ('active', 'broken')),
  CONSTRAINT channel_broken_says_why CHECK ((state = 'broken') = (broken_words IS NOT NULL))
);

CREATE TABLE route (
  route_id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name            text NOT NULL,
  channel_id      uuid NOT NULL REFERENCES channel,
  -- Shell patterns of model ids; none means every model.
  model_patterns  text[] NOT NULL DEFAULT '{}',
  CONSTRAINT route_name_unique UNIQUE (name)
);

-- Every transition, alert or not: a message looks back at what came before ("since", "seen by").
CREATE TABLE transition (
  transition_id   uuid PRIMARY KEY,
  incident_id     uuid NOT NULL,
  incident_number integer NOT NULL,
  model_id        text NOT NULL,
  sequence        integer NOT NULL,
  -- As it came from Kafka, which forgets after 30 days. It may hold text from strangers (category names): jsonb
  -- refuses the character U+0000, json keeps what came.
  message         json NOT NULL,
  -- How the model was watched then, for the words about what happens next.
  monitor         json
);
-- For the history of one incident.
CREATE INDEX transition_of_incident ON transition (incident_id, sequence);

CREATE TABLE delivery (
  delivery_id     uuid PRIMARY KEY,
  transition_id   uuid NOT NULL REFERENCES transition,
  route_id        uuid NOT NULL REFERENCES route,
  channel_id      uuid NOT NULL REFERENCES channel,
  incident_id     uuid NOT NULL,
  sequence        integer NOT NULL,
  kind            text NOT NULL,
  -- 0 critical alarm, 1 alarm, 2 news; the smaller leaves first.
  urgency         smallint NOT NULL,
  state           text NOT NULL DEFAULT 'pending',
  -- When a dispatcher may take it: the next attempt of a pending one, the end of the lease of one being sent, the
  -- next try of one that was given up.
  due_at          timestamptz NOT NULL,
  -- The attempt under way; what a sender notes counts only while this is still its own.
  send_id         uuid,
  attempts        integer NOT NULL DEFAULT 0,
  -- Failed attempts in a row and since when: the back-off, and when to give up.
  failures        integer NOT NULL DEFAULT 0,
  failing_since   timestamptz,
  -- An attempt may have arrived without our knowing: the next one is marked as a repeat.
  possibly_sent   boolean NOT NULL DEFAULT false,
  -- The rich form was refused: send as plain text.
  plain           boolean NOT NULL DEFAULT false,
  parked_because  text,
  -- What became of the last attempt, in plain words.
  last_words      text,
  created_at      timestamptz NOT NULL,
  delivered_at    timestamptz,
  CONSTRAINT delivery_once_per_route UNIQUE (transition_id, route_id),
  CONSTRAINT delivery_state_known CHECK (state IN ('pending', 'sending', 'delivered', 'parked')),
  CONSTRAINT delivery_sending_has_sender CHECK ((state = 'sending') = (send_id IS NOT NULL)),
  CONSTRAINT delivery_parked_says_why CHECK ((state = 'parked') = (parked_because IS NOT NULL)),
  CONSTRAINT delivery_delivered_says_when CHECK ((state = 'delivered') = (delivered_at IS NOT NULL)),
  CONSTRAINT delivery_parked_reason_known
    CHECK (parked_because IN ('channel_broken', 'gave_up', 'message_refused'))
);
-- For claiming and for counting what waits: only what is not delivered.
CREATE INDEX delivery_waiting ON delivery (channel_id, incident_id, sequence) WHERE state <> 'delivered';
-- For the ledger, newest first.
CREATE INDEX delivery_newest ON delivery (created_at DESC, delivery_id);
-- For the ledger of one incident.
CREATE INDEX delivery_of_incident ON delivery (incident_id, sequence);

-- One row per attempt and delivery; deliveries told in one message share a send_id.
CREATE TABLE attempt (
  attempt_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  delivery_id     uuid NOT NULL REFERENCES delivery,
  send_id         uuid NOT NULL,
  at              timestamptz NOT NULL,
  outcome         text NOT NULL,
  reason          text NOT NULL,
  words           text NOT NULL,
  http_status     integer,
  -- Noting again after a commit whose answer was lost adds nothing.
  CONSTRAINT attempt_noted_once UNIQUE (delivery_id, send_id, outcome),
  CONSTRAINT attempt_outcome_known CHECK (outcome IN
    ('delivered', 'rate_limited', 'not_taken', 'uncertain', 'message_refused', 'channel_refused', 'interrupted'))
);
-- For the attempts of a delivery, in their order.
CREATE INDEX attempt_of_delivery ON attempt (delivery_id, attempt_id);

-- What happened has happened.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME;
END $$;
CREATE TRIGGER attempt_append_only BEFORE UPDATE OR DELETE ON attempt
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transition_append_only BEFORE UPDATE OR DELETE ON transition
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
