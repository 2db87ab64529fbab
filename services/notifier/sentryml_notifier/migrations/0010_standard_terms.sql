-- Kinds and causes of transitions under their standard terms, as incidents publishes them from now on. A message is
-- json as it came, perhaps with the character U+0000, so it is changed as text; quotes in its texts are escaped there.
-- The table is append-only for the service, not for a rename.

UPDATE route SET kinds = array_replace(array_replace(kinds, 'blind', 'evaluation_paused'), 'seeing', 'evaluation_resumed')
 WHERE kinds && '{blind,seeing}';

ALTER TABLE transition DISABLE TRIGGER transition_append_only;
UPDATE transition
   SET step_kind = CASE step_kind WHEN 'blind' THEN 'evaluation_paused' WHEN 'seeing' THEN 'evaluation_resumed'
                                  ELSE step_kind END,
       message = regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(message::text,
                   '"kind": ?"blind"', '"kind":"evaluation_paused"'),
                   '"kind": ?"seeing"', '"kind":"evaluation_resumed"'),
                   '"cause": ?"asked"', '"cause":"requested"'),
                   '"cause": ?"also_seen"', '"cause":"co_acknowledged"'),
                   '"cause": ?"reviewed"', '"cause":"reviewed_after"')::json
 WHERE message::text ~ '"kind": ?"(blind|seeing)"|"cause": ?"(asked|also_seen|reviewed)"';
ALTER TABLE transition ENABLE TRIGGER transition_append_only;

UPDATE delivery
   SET kind = CASE kind WHEN 'blind' THEN 'evaluation_paused' ELSE 'evaluation_resumed' END
 WHERE kind IN ('blind', 'seeing');
