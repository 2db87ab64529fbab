-- What was found of segments that are evaluated by themselves: of an evaluation with bins all of them, of others those that
-- drift, without bins. The names of segments are what senders chose, hence `json`: they may hold U+0000.

ALTER TABLE evaluation ADD COLUMN segments json;

-- People may have been notified of a segment by its name: `json` here, too.
ALTER TABLE monitor ALTER COLUMN notified DROP DEFAULT;
ALTER TABLE monitor ALTER COLUMN notified TYPE json USING notified::json;
ALTER TABLE monitor ALTER COLUMN notified SET DEFAULT '{"findings": [], "worse": 0, "worse_slowly": 0}';
