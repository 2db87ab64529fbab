-- Models whose predictions have stopped: since when, and which incidents are about nothing else. What an evaluation says
-- of it is kept with it.

ALTER TABLE monitor ADD COLUMN silence jsonb NOT NULL DEFAULT '{"since": null, "usual_per_hour": null}';
ALTER TABLE incident ADD COLUMN no_predictions boolean NOT NULL DEFAULT false;
ALTER TABLE evaluation ADD COLUMN activity jsonb;
