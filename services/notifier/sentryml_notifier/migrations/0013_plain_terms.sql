-- Standard terms: texts for people are `text`, the outbox is called one, and what waited for a cause to be fixed was
-- undeliverable.

ALTER TABLE channel RENAME COLUMN broken_words TO broken_reason;
ALTER TABLE delivery RENAME COLUMN last_words TO last_text;
ALTER TABLE delivery RENAME COLUMN was_stuck TO was_undeliverable;
ALTER TABLE attempt RENAME COLUMN words TO text;
ALTER TABLE change RENAME COLUMN words TO text;
ALTER TABLE unrouted RENAME COLUMN words TO text;
ALTER TABLE unrouted RENAME COLUMN told_at TO published_at;
ALTER INDEX unrouted_untold RENAME TO unrouted_unpublished;
ALTER TABLE delivery RENAME CONSTRAINT delivery_has_one_stand_in TO delivery_has_one_fallback;

ALTER TABLE delivery_news RENAME TO delivery_outbox;
ALTER TABLE delivery_outbox RENAME COLUMN news_id TO outbox_id;
ALTER TABLE delivery_outbox RENAME CONSTRAINT delivery_news_key TO delivery_outbox_key;
ALTER TABLE delivery_outbox RENAME CONSTRAINT delivery_news_of_delivery TO delivery_outbox_of_delivery;

ALTER FUNCTION tell_delivery RENAME TO enqueue_delivery;
CREATE OR REPLACE FUNCTION enqueue_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO delivery_outbox (delivery_id) VALUES (NEW.delivery_id);
  PERFORM pg_notify('sentryml_notifier_outbox', '');
  RETURN NULL;
END
$$;
ALTER FUNCTION tell_unrouted RENAME TO notify_outbox;
ALTER TRIGGER delivery_told ON delivery RENAME TO delivery_changed;
ALTER TRIGGER unrouted_told ON unrouted RENAME TO unrouted_made;
