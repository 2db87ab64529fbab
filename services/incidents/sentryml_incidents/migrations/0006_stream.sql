-- The stream of transitions (GET /v1/stream) needs an order that a client can resume from. transition.position is not
-- one: it is given before commit, so who asks for what comes after the highest position seen loses the rows of
-- transactions that commit later. Here transitions are numbered after they are committed, by one at a time (an
-- advisory lock): whoever sees a number sees all that are below it, for ever, also in another PostgreSQL that was
-- restored from a dump.

-- Transitions that have no number yet. Its rows live for milliseconds while a service runs.
CREATE TABLE stream_pending (
  transition_id uuid   CONSTRAINT stream_pending_key PRIMARY KEY
    CONSTRAINT stream_pending_of_transition REFERENCES transition ON DELETE CASCADE,
  position      bigint NOT NULL
);

CREATE TABLE stream_entry (
  stream_number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT stream_entry_key PRIMARY KEY,
  transition_id uuid   NOT NULL CONSTRAINT stream_entry_once UNIQUE
    CONSTRAINT stream_entry_of_transition REFERENCES transition ON DELETE CASCADE
);

INSERT INTO stream_entry (transition_id) SELECT transition_id FROM transition ORDER BY position;

CREATE FUNCTION stream_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO stream_pending (transition_id, position) SELECT transition_id, position FROM added;
  PERFORM pg_notify('sentryml_incidents_stream', '');
  RETURN NULL;
END
$$;

CREATE TRIGGER transition_streamed AFTER INSERT ON transition
  REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION stream_transitions();

-- Evaluations and new models are told as they come, and cannot be resumed: the notification is the whole event.
CREATE FUNCTION stream_evaluation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('sentryml_incidents_stream', json_build_object(
    'kind', 'evaluation', 'model_id', NEW.model_id, 'evaluation_id', NEW.evaluation_id,
    'evaluated_at', NEW.evaluated_at, 'level', NEW.level, 'reason', NEW.reason, 'psi', NEW.psi)::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER latest_evaluation_streamed AFTER INSERT OR UPDATE ON latest_evaluation
  FOR EACH ROW EXECUTE FUNCTION stream_evaluation();

CREATE FUNCTION stream_model() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('sentryml_incidents_stream', json_build_object(
    'kind', 'model', 'model_id', NEW.model_id, 'first_seen', NEW.first_seen)::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER model_streamed AFTER INSERT ON model
  FOR EACH ROW EXECUTE FUNCTION stream_model();
