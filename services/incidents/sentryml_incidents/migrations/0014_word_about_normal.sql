-- A person's word about what is normal closes an incident, and can be undone for a while.
ALTER TABLE incident
  ADD COLUMN undo_until timestamptz
    CONSTRAINT incident_undone_only_when_closed CHECK (undo_until IS NULL OR state = 'closed');
ALTER TABLE evidence DROP CONSTRAINT evidence_role;
ALTER TABLE evidence ADD CONSTRAINT evidence_role CHECK (role IN (
  'opened', 'escalated', 'deescalated', 'reopened', 'peak', 'resolved', 'accepted'));
