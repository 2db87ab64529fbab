-- Which versions and segments were in the current window of an evaluation, with their shares: for their curves, and to
-- mark where one begins. `json`, since values are what senders chose. How far each differs is kept with the bins.

ALTER TABLE evaluation ADD COLUMN slices json;
