-- Up to when predictions had been read at the newest evaluation of a model. It stands still for all while none are
-- counted, which is checked every few seconds: so it must not be looked up in whole evaluations.

ALTER TABLE latest_evaluation ADD COLUMN read_until timestamptz;
