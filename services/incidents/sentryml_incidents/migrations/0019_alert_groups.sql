-- The alert group of a delivery, as the notifier has published it: incidents that a channel was notified of together.
ALTER TABLE delivery ADD COLUMN group_id uuid;
-- For the incidents of a group.
CREATE INDEX delivery_of_group ON delivery (group_id, incident_id) WHERE group_id IS NOT NULL;
