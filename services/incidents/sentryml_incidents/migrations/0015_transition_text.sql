-- Each step carries its text, made when it was decided. Steps of before get a simple one, of their kind and cause.

ALTER TABLE transition ADD COLUMN text jsonb;

ALTER TABLE transition DISABLE TRIGGER transition_append_only;
UPDATE transition
   SET text = jsonb_build_object(
         'title', CASE WHEN kind NOT IN ('opened', 'escalated', 'reopened') THEN ''
                       WHEN to_severity = 'critical' THEN 'CRITICAL drift: ' ELSE 'Warning: drift: ' END
                  || names.step || ' · ' || model_id,
         'headline', names.step || ': ' || replace(cause, '_', ' ') || '.',
         'step', names.step,
         'next', '[]'::jsonb)
  FROM (VALUES
         ('opened', 'Opened'), ('escalated', 'Escalated to critical'), ('deescalated', 'De-escalated to warning'),
         ('acknowledged', 'Acknowledged'), ('unacknowledged', 'Acknowledgement taken back'), ('noted', 'Note'),
         ('resolved', 'Resolved'), ('reopened', 'Reopened'), ('closed', 'Closed'),
         ('evaluation_paused', 'Evaluation paused'), ('evaluation_resumed', 'Evaluation resumed'),
         ('monitor_changed', 'Monitor changed')) AS names (of_kind, step)
 WHERE names.of_kind = transition.kind;
ALTER TABLE transition ENABLE TRIGGER transition_append_only;

ALTER TABLE transition ALTER COLUMN text SET NOT NULL;
