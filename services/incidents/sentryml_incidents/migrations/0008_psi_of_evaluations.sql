-- The highest PSI of each evaluation in a column of its own: a curve over a quarter looks at tens of thousands of them,
-- and would have to take each one's signals apart.

ALTER TABLE evaluation ADD COLUMN psi double precision;
UPDATE evaluation
   SET psi = (SELECT max((found ->> 'psi')::float8) FROM jsonb_array_elements(signals) AS found);
