-- What becomes of deliveries is told on Kafka (deliveries.v1), so that whoever shows incidents shows that too.
--
-- A message is the whole state of a delivery at one revision. `delivery_news` is the outbox: the relay holds its rows
-- while Kafka takes its time, and nobody else ever waits for one, since senders only add to it. A mark on the row of
-- the delivery itself would be locked then, and nothing could be sent while Kafka is away.

ALTER TABLE delivery ADD COLUMN revision integer NOT NULL DEFAULT 1;
-- Only ever told, never decided upon: PostgreSQL's own clock serves.
ALTER TABLE delivery ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE delivery_news (
  news_id     bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT delivery_news_key PRIMARY KEY,
  delivery_id uuid        NOT NULL CONSTRAINT delivery_news_of_delivery REFERENCES delivery,
  at          timestamptz NOT NULL DEFAULT now()
);

-- Alerts that no route took: nobody was told, and that is told.
CREATE TABLE unrouted (
  transition_id uuid        CONSTRAINT unrouted_key PRIMARY KEY
    CONSTRAINT unrouted_of_transition REFERENCES transition,
  -- What to do about it, in plain words.
  words         text        NOT NULL,
  at            timestamptz NOT NULL,
  told_at       timestamptz
);
-- Relay: those that have not been told.
CREATE INDEX unrouted_untold ON unrouted (at) WHERE told_at IS NULL;

-- A claim is no news: what comes of it is, moments later.
CREATE FUNCTION revise_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.revision := OLD.revision + 1;
  NEW.changed_at := now();
  RETURN NEW;
END
$$;
CREATE TRIGGER delivery_revised BEFORE UPDATE ON delivery
  FOR EACH ROW WHEN (
    NEW.state <> 'sending'
    AND (OLD.state, OLD.due_at, OLD.parked_because, OLD.last_words, OLD.delivered_at)
      IS DISTINCT FROM (NEW.state, NEW.due_at, NEW.parked_because, NEW.last_words, NEW.delivered_at))
  EXECUTE FUNCTION revise_delivery();

CREATE FUNCTION tell_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO delivery_news (delivery_id) VALUES (NEW.delivery_id);
  PERFORM pg_notify('sentryml_notifier_outbox', '');
  RETURN NULL;
END
$$;
CREATE TRIGGER delivery_made AFTER INSERT ON delivery
  FOR EACH ROW EXECUTE FUNCTION tell_delivery();
CREATE TRIGGER delivery_told AFTER UPDATE ON delivery
  FOR EACH ROW WHEN (OLD.revision <> NEW.revision)
  EXECUTE FUNCTION tell_delivery();

CREATE FUNCTION tell_unrouted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('sentryml_notifier_outbox', '');
  RETURN NULL;
END
$$;
CREATE TRIGGER unrouted_told AFTER INSERT ON unrouted
  FOR EACH STATEMENT EXECUTE FUNCTION tell_unrouted();

INSERT INTO delivery_news (delivery_id) SELECT delivery_id FROM delivery ORDER BY created_at, sequence;
