-- The tables of incidents. This service is the only one that reads or writes them.
--
-- Three of them are outboxes as well (monitor_version, transition, api_key): a row whose published_at is null has
-- not reached Kafka yet. Columns that may hold text from strangers (category names, events) are json, not jsonb:
-- jsonb refuses the character U+0000, json keeps what came.

CREATE TABLE model (
  model_id   text        CONSTRAINT model_key PRIMARY KEY,
  first_seen timestamptz NOT NULL,
  last_seen  timestamptz NOT NULL,
  CONSTRAINT model_id_form CHECK (model_id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$'),
  CONSTRAINT model_seen_in_order CHECK (first_seen <= last_seen)
);

-- Every setting a monitor ever had, and who set it. Append-only.
CREATE TABLE monitor_version (
  model_id     text        NOT NULL CONSTRAINT monitor_version_of_model REFERENCES model,
  version      integer     NOT NULL CONSTRAINT monitor_version_counts_from_one CHECK (version >= 1),
  settings     jsonb       NOT NULL,
  actor        jsonb       NOT NULL,
  at           timestamptz NOT NULL,
  published_at timestamptz,
  CONSTRAINT monitor_version_key PRIMARY KEY (model_id, version)
);

-- Relay: the oldest unpublished version of each model.
CREATE INDEX monitor_version_unpublished ON monitor_version (model_id, version) WHERE published_at IS NULL;

-- The version in force, and where the model's state machine stands. The row is the lock under which everything that
-- concerns the model's incidents happens. It changes with every evaluation: no index may cover what changes, so that
-- the change stays in the page (HOT), for which the fill factor leaves room.
CREATE TABLE monitor (
  model_id           text    CONSTRAINT monitor_key PRIMARY KEY,
  version            integer NOT NULL,
  last_evaluation_id uuid,
  last_evaluated_at  timestamptz,
  last_grade         text    CONSTRAINT monitor_grade CHECK (last_grade IN ('ok', 'hold', 'warn', 'critical')),
  blind_since        timestamptz,
  count_warn         integer NOT NULL DEFAULT 0,
  count_critical     integer NOT NULL DEFAULT 0,
  count_below_critical integer NOT NULL DEFAULT 0,
  count_ok           integer NOT NULL DEFAULT 0,
  ok_seconds         double precision NOT NULL DEFAULT 0,
  CONSTRAINT monitor_version_in_force FOREIGN KEY (model_id, version) REFERENCES monitor_version
) WITH (fillfactor = 70);

CREATE TABLE incident (
  incident_id          uuid        CONSTRAINT incident_key PRIMARY KEY,
  incident_number      bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT incident_number_unique UNIQUE,
  model_id             text        NOT NULL CONSTRAINT incident_of_model REFERENCES model,
  state                text        NOT NULL
    CONSTRAINT incident_state CHECK (state IN ('open', 'acknowledged', 'resolved', 'closed')),
  severity             text        NOT NULL CONSTRAINT incident_severity CHECK (severity IN ('warn', 'critical')),
  opened_at            timestamptz NOT NULL,
  psi                  double precision NOT NULL,
  peak_psi             double precision NOT NULL,
  peak_at              timestamptz NOT NULL,
  sequence             integer     NOT NULL CONSTRAINT incident_sequence_counts_from_one CHECK (sequence >= 1),
  last_kind            text        NOT NULL,
  acknowledged_by      jsonb       NOT NULL,
  resolved_at          timestamptz,
  closed_at            timestamptz,
  reopened             integer     NOT NULL CONSTRAINT incident_reopened_counts CHECK (reopened >= 0),
  previous_incident_id uuid        CONSTRAINT incident_previous REFERENCES incident,
  monitor_change       text,
  latched_until        timestamptz,
  CONSTRAINT incident_peak_is_highest CHECK (peak_psi >= psi),
  CONSTRAINT incident_live_is_not_over
    CHECK (state NOT IN ('open', 'acknowledged') OR (resolved_at IS NULL AND closed_at IS NULL)),
  CONSTRAINT incident_resolved_says_when CHECK (state <> 'resolved' OR (resolved_at IS NOT NULL AND closed_at IS NULL)),
  CONSTRAINT incident_closed_says_when CHECK (state <> 'closed' OR closed_at IS NOT NULL),
  CONSTRAINT incident_latch_only_when_closed CHECK (latched_until IS NULL OR state = 'closed')
);

-- The promise "at most one live incident per model", whatever the code does. Also: the live incident of each model.
CREATE UNIQUE INDEX incident_one_live ON incident (model_id) WHERE state IN ('open', 'acknowledged');
-- The newest incident of a model (state machine), and the list of one model's incidents.
CREATE INDEX incident_newest_of_model ON incident (model_id, incident_number DESC);
-- Timer: incidents that have been resolved for long.
CREATE INDEX incident_resolved ON incident (resolved_at) WHERE state = 'resolved';

-- Timeline, audit log and outbox at once. Append-only.
CREATE TABLE transition (
  transition_id uuid        CONSTRAINT transition_key PRIMARY KEY,
  incident_id   uuid        NOT NULL CONSTRAINT transition_of_incident REFERENCES incident,
  model_id      text        NOT NULL,
  sequence      integer     NOT NULL,
  -- Order of publishing per model: writers of one model take turns (they lock its monitor), so it is commit order.
  position      bigint      GENERATED ALWAYS AS IDENTITY,
  kind          text        NOT NULL CONSTRAINT transition_kind CHECK (kind IN (
    'opened', 'escalated', 'deescalated', 'acknowledged', 'unacknowledged', 'noted', 'resolved', 'reopened', 'closed',
    'blind', 'seeing', 'monitor_changed')),
  at            timestamptz NOT NULL,
  from_state    text,
  from_severity text,
  to_state      text        NOT NULL
    CONSTRAINT transition_to_state CHECK (to_state IN ('open', 'acknowledged', 'resolved', 'closed')),
  to_severity   text        NOT NULL CONSTRAINT transition_to_severity CHECK (to_severity IN ('warn', 'critical')),
  actor         jsonb       NOT NULL,
  cause         text        NOT NULL,
  alert         boolean     NOT NULL,
  note          text,
  evaluation_id uuid,
  why           json        NOT NULL,
  published_at  timestamptz,
  -- Also serves the timeline of one incident, oldest first.
  CONSTRAINT transition_sequence UNIQUE (incident_id, sequence),
  CONSTRAINT transition_opens_from_nothing
    CHECK ((kind = 'opened') = (from_state IS NULL) AND (from_state IS NULL) = (from_severity IS NULL)),
  CONSTRAINT transition_opens_first CHECK ((kind = 'opened') = (sequence = 1))
);

-- Relay: the oldest unpublished transition of each model.
CREATE INDEX transition_unpublished ON transition (model_id, position) WHERE published_at IS NULL;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- The relay's mark, made once, is the only change an append-only row may see. Rows are compared as text: json has
  -- no equality.
  IF TG_OP = 'UPDATE' THEN
    IF OLD.published_at IS NULL THEN
      OLD.published_at := NEW.published_at;
      IF OLD::text = NEW::text THEN
        RETURN NEW;
      END IF;
    END IF;
  END IF;
  RAISE EXCEPTION '% is append-only: rows are neither changed nor deleted', TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER transition_append_only BEFORE UPDATE OR DELETE ON transition
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transition_not_truncated BEFORE TRUNCATE ON transition
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER monitor_version_append_only BEFORE UPDATE OR DELETE ON monitor_version
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER monitor_version_not_truncated BEFORE TRUNCATE ON monitor_version
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Every evaluation, thin: without its bins. Kept for some months.
CREATE TABLE evaluation (
  evaluation_id   uuid        CONSTRAINT evaluation_key PRIMARY KEY,
  model_id        text        NOT NULL CONSTRAINT evaluation_of_model REFERENCES model,
  monitor_version integer     NOT NULL,
  evaluated_at    timestamptz NOT NULL,
  level           text        NOT NULL
    CONSTRAINT evaluation_level CHECK (level IN ('ok', 'warn', 'critical', 'insufficient_data')),
  reason          text,
  baseline        jsonb       NOT NULL,
  current         jsonb       NOT NULL,
  signals         jsonb       NOT NULL
);

-- A model's evaluations, newest first.
CREATE INDEX evaluation_newest ON evaluation (model_id, evaluated_at DESC, evaluation_id DESC);
-- Clean-up of what is too old. Rows arrive about in the order of time: a few pages of index serve for millions.
CREATE INDEX evaluation_age ON evaluation USING brin (evaluated_at);

-- The newest evaluation of each model, whole: for the list of models and the model's own page.
CREATE TABLE latest_evaluation (
  model_id      text        CONSTRAINT latest_evaluation_key PRIMARY KEY
    CONSTRAINT latest_evaluation_of_model REFERENCES model,
  evaluation_id uuid        NOT NULL,
  evaluated_at  timestamptz NOT NULL,
  level         text        NOT NULL,
  reason        text,
  psi           double precision,
  evaluation    json        NOT NULL
);

-- Whole evaluations of an incident's turning points, kept for ever.
CREATE TABLE evidence (
  incident_id   uuid        NOT NULL CONSTRAINT evidence_of_incident REFERENCES incident,
  role          text        NOT NULL CONSTRAINT evidence_role CHECK (role IN (
    'opened', 'escalated', 'deescalated', 'reopened', 'peak', 'resolved')),
  evaluation_id uuid        NOT NULL,
  evaluated_at  timestamptz NOT NULL,
  evaluation    json        NOT NULL,
  CONSTRAINT evidence_key PRIMARY KEY (incident_id, role, evaluation_id)
);

-- An incident has one peak, which moves as it rises.
CREATE UNIQUE INDEX evidence_one_peak ON evidence (incident_id) WHERE role = 'peak';

CREATE TABLE activity (
  model_id text        CONSTRAINT activity_key PRIMARY KEY CONSTRAINT activity_of_model REFERENCES model,
  at       timestamptz NOT NULL,
  activity json        NOT NULL
);

CREATE TABLE api_key (
  key_id       text        CONSTRAINT api_key_key PRIMARY KEY,
  name         text        NOT NULL CONSTRAINT api_key_name_length CHECK (length(name) BETWEEN 1 AND 100),
  key_hash     text        NOT NULL CONSTRAINT api_key_hash_unique UNIQUE,
  scopes       text[]      NOT NULL CONSTRAINT api_key_scopes CHECK (
    cardinality(scopes) > 0 AND scopes <@ ARRAY['events:write', 'read', 'write', 'admin']),
  models       text[]      NOT NULL,
  created_at   timestamptz NOT NULL,
  created_by   jsonb       NOT NULL,
  expires_at   timestamptz,
  revoked_at   timestamptz,
  published_at timestamptz,
  CONSTRAINT api_key_id_form CHECK (key_id ~ '^[0-9a-z]{12}$'),
  CONSTRAINT api_key_hash_form CHECK (key_hash ~ '^[0-9a-f]{64}$')
);

-- Relay: keys made or revoked since they were last published.
CREATE INDEX api_key_unpublished ON api_key (key_id) WHERE published_at IS NULL;

CREATE TABLE app_user (
  user_id       uuid        CONSTRAINT app_user_key PRIMARY KEY DEFAULT gen_random_uuid(),
  email         text        NOT NULL CONSTRAINT app_user_email_form CHECK (email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  name          text        NOT NULL,
  role          text        NOT NULL CONSTRAINT app_user_role CHECK (role IN ('viewer', 'responder', 'admin')),
  password_hash text        NOT NULL,
  created_at    timestamptz NOT NULL
);

-- One account per address, however it is written. Also: sign-in by address.
CREATE UNIQUE INDEX app_user_email ON app_user (lower(email));
