-- How bad an incident was at its worst, beside how bad it is now: an incident that was critical and eased before it
-- resolved is remembered as critical. The default lets the last release go on writing beside this one.

ALTER TABLE incident ADD COLUMN worst_severity text NOT NULL DEFAULT 'warn'
  CONSTRAINT incident_worst_severity CHECK (worst_severity IN ('warn', 'critical'));

UPDATE incident SET worst_severity = 'critical'
 WHERE incident_id IN (SELECT incident_id FROM transition WHERE to_severity = 'critical');
