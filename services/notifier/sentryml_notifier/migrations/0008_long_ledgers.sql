-- A list of the ledger goes by its own order, which one index holds whole: without it each page sorted all deliveries
-- there are (1.4 s for 300,000).

DROP INDEX delivery_newest;
CREATE INDEX delivery_newest ON delivery (created_at DESC, sequence DESC, delivery_id);
-- The same of one channel. A channel's name may be used again: deleted ones are among them.
CREATE INDEX delivery_newest_of_channel ON delivery (channel_id, created_at DESC, sequence DESC, delivery_id);
-- For the deliveries of one model.
CREATE INDEX transition_of_model ON transition (model_id);
