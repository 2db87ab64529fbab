-- What the notifier tells of deliveries: where each alert went, and what became of it. The newest of each, which is the
-- one with the highest revision. There are no foreign keys: what is told is kept, whatever it is about.

CREATE TABLE delivery (
  delivery_id   uuid    CONSTRAINT delivery_key PRIMARY KEY,
  revision      integer NOT NULL CONSTRAINT delivery_revision_counts_from_one CHECK (revision >= 1),
  transition_id uuid    NOT NULL,
  incident_id   uuid    NOT NULL,
  model_id      text    NOT NULL,
  sequence      integer NOT NULL,
  state         text    NOT NULL
    CONSTRAINT delivery_state CHECK (state IN ('pending', 'sending', 'delivered', 'parked', 'no_route', 'not_sent')),
  -- As it was told. json, not jsonb, as everywhere: json keeps what came.
  message       json    NOT NULL
);

-- The deliveries of one incident, in the order of its timeline.
CREATE INDEX delivery_of_incident ON delivery (incident_id, sequence, delivery_id);
-- The list of incidents: what is stuck.
CREATE INDEX delivery_stuck ON delivery (incident_id) WHERE state = 'parked';

CREATE FUNCTION stream_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('sentryml_incidents_stream', json_build_object(
    'kind', 'delivery', 'model_id', NEW.model_id, 'incident_id', NEW.incident_id,
    'transition_id', NEW.transition_id, 'delivery_id', NEW.delivery_id, 'revision', NEW.revision,
    'state', NEW.state)::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER delivery_streamed AFTER INSERT OR UPDATE ON delivery
  FOR EACH ROW EXECUTE FUNCTION stream_delivery();
