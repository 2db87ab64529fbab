-- A live incident that gets worse is a step of its own, `worsened`. Beside the counts is kept what people were notified of.

ALTER TABLE transition DROP CONSTRAINT transition_kind;
ALTER TABLE transition ADD CONSTRAINT transition_kind CHECK (kind IN (
  'opened', 'escalated', 'worsened', 'deescalated', 'acknowledged', 'unacknowledged', 'noted', 'resolved', 'reopened',
  'closed', 'evaluation_paused', 'evaluation_resumed', 'monitor_changed'));
ALTER TABLE evidence DROP CONSTRAINT evidence_role;
ALTER TABLE evidence ADD CONSTRAINT evidence_role CHECK (role IN (
  'opened', 'escalated', 'worsened', 'deescalated', 'reopened', 'peak', 'resolved', 'accepted'));
ALTER TABLE monitor
  ADD COLUMN notified jsonb NOT NULL DEFAULT '{"findings": [], "worse": 0, "worse_slowly": 0}';

-- Of incidents that are live now: the figures of their alerts, so that nobody is notified of them again. They are read as
-- text: a bin may hold the character U+0000. Quotes in its name are escaped there.
UPDATE monitor
   SET notified = monitor.notified || jsonb_build_object('findings', known.findings)
  FROM (SELECT model_id, jsonb_agg(finding) AS findings
          FROM (SELECT DISTINCT ON (incident.model_id, found[1], transition.cause = 'slow_drift')
                       incident.model_id,
                       jsonb_build_object(
                         'signal', found[1],
                         'comparison', CASE WHEN transition.cause = 'slow_drift' THEN 'reference' ELSE 'baseline' END,
                         'severity', CASE WHEN found[2]::float >= nullif(found[4], 'null')::float
                                          THEN 'critical' ELSE 'warn' END,
                         'psi', found[2]::float, 'warn_at', found[3]::float,
                         'critical_at', nullif(found[4], 'null')::float) AS finding
                  FROM incident
                  JOIN transition USING (incident_id)
                 CROSS JOIN LATERAL regexp_matches(
                         transition.why::text,
                         '"signal": ?"([a-z]+)", ?"psi": ?([-+.e0-9]+), ?"warn_at": ?([-+.e0-9]+), '
                         '?"critical_at": ?([-+.e0-9]+|null)', 'g') AS found
                 WHERE incident.state IN ('open', 'acknowledged') AND incident.model_deleted_at IS NULL
                   AND transition.kind IN ('opened', 'escalated', 'reopened')
                   AND found[2]::float >= found[3]::float
                 ORDER BY incident.model_id, found[1], transition.cause = 'slow_drift', transition.sequence DESC
               ) AS newest
         GROUP BY model_id
       ) AS known
 WHERE known.model_id = monitor.model_id;

-- The PSI of the latest comparison with the reference, until the next one.
UPDATE monitor
   SET slow = monitor.slow || jsonb_build_object('psi', incident.psi)
  FROM incident
 WHERE incident.model_id = monitor.model_id AND incident.state IN ('open', 'acknowledged')
   AND incident.model_deleted_at IS NULL AND (monitor.slow ->> 'confirmed')::boolean;
