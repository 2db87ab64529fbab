-- Deliveries and their attempts have a `text`, which was called `words`. The message is json as it came, perhaps with the
-- character U+0000, so it is changed as text; quotes in its texts are escaped there.
ALTER TABLE delivery DISABLE TRIGGER delivery_streamed;
UPDATE delivery SET message = regexp_replace(message::text, '"words": ?', '"text":', 'g')::json;
ALTER TABLE delivery ENABLE TRIGGER delivery_streamed;
ALTER INDEX delivery_stuck RENAME TO delivery_undeliverable;
