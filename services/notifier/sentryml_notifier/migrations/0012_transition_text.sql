-- Transitions carry their text, so what comes next is no longer made here, from the monitor. Messages of before get a
-- simple text of their kind and cause. A message is json as it came, perhaps with the character U+0000, so it is
-- changed as text; quotes in its texts are escaped there, and its own kind comes first. The table is append-only for the
-- service, not for this.

ALTER TABLE transition DISABLE TRIGGER transition_append_only;
UPDATE transition
   SET message = regexp_replace(message::text, '^\s*\{', '{"text": ' || replace(jsonb_build_object(
         'title', CASE WHEN names.of_kind NOT IN ('opened', 'escalated', 'reopened') THEN ''
                       WHEN message::text ~ '"to": ?\{[^}]*"critical"' THEN 'CRITICAL drift: '
                       ELSE 'Warning: drift: ' END || names.step || ' · ' || model_id,
         'headline', names.step || ': '
                     || replace(substring(message::text FROM '"cause": ?"([a-z_]+)"'), '_', ' ') || '.',
         'step', names.step,
         'next', '[]'::jsonb)::text, '\', '\\') || ', ')::json
  FROM (VALUES
         ('opened', 'Opened'), ('escalated', 'Escalated to critical'), ('deescalated', 'De-escalated to warning'),
         ('acknowledged', 'Acknowledged'), ('unacknowledged', 'Acknowledgement taken back'), ('noted', 'Note'),
         ('resolved', 'Resolved'), ('reopened', 'Reopened'), ('closed', 'Closed'),
         ('evaluation_paused', 'Evaluation paused'), ('evaluation_resumed', 'Evaluation resumed'),
         ('monitor_changed', 'Monitor changed')) AS names (of_kind, step)
 WHERE names.of_kind = substring(message::text FROM '"kind": ?"([a-z_]+)"');
ALTER TABLE transition ENABLE TRIGGER transition_append_only;

ALTER TABLE transition DROP COLUMN monitor;
