-- Incidents that get worse within their severity have a step of their own, `worsened`. Routes that name escalations are
-- for those too.

UPDATE route SET kinds = kinds || '{worsened}' WHERE 'escalated' = ANY (kinds);
