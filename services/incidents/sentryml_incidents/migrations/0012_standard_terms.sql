-- Kinds and causes of transitions under their standard terms: `blind`, `seeing` are now `evaluation_paused`,
-- `evaluation_resumed`; `asked`, `also_seen`, `reviewed` are `requested`, `co_acknowledged`, `reviewed_after`.

ALTER TABLE transition DISABLE TRIGGER transition_append_only;
ALTER TABLE transition DROP CONSTRAINT transition_kind;
UPDATE transition
   SET kind = CASE kind WHEN 'blind' THEN 'evaluation_paused' WHEN 'seeing' THEN 'evaluation_resumed' ELSE kind END,
       cause = CASE cause WHEN 'asked' THEN 'requested' WHEN 'also_seen' THEN 'co_acknowledged'
                          WHEN 'reviewed' THEN 'reviewed_after' ELSE cause END
 WHERE kind IN ('blind', 'seeing') OR cause IN ('asked', 'also_seen', 'reviewed');
ALTER TABLE transition ADD CONSTRAINT transition_kind CHECK (kind IN (
  'opened', 'escalated', 'deescalated', 'acknowledged', 'unacknowledged', 'noted', 'resolved', 'reopened', 'closed',
  'evaluation_paused', 'evaluation_resumed', 'monitor_changed'));
ALTER TABLE transition ENABLE TRIGGER transition_append_only;

UPDATE incident
   SET last_kind = CASE last_kind WHEN 'blind' THEN 'evaluation_paused' ELSE 'evaluation_resumed' END
 WHERE last_kind IN ('blind', 'seeing');

ALTER TABLE monitor RENAME COLUMN blind_since TO evaluation_paused_since;
