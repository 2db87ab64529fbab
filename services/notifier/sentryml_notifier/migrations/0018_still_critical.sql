-- Reminders of what was acknowledged and is still critical: an acknowledged incident must not be forgotten.

ALTER TABLE route
  -- How long after the acknowledgement; once a day from then on. Null: never.
  ADD COLUMN remind_acknowledged_after_seconds integer DEFAULT 86400;

ALTER TABLE delivery
  ADD COLUMN still_critical boolean NOT NULL DEFAULT false,
  DROP CONSTRAINT delivery_once_per_route,
  ADD CONSTRAINT delivery_once_per_route
    UNIQUE (transition_id, route_id, channel_id, reminder, long_drift_days, still_critical),
  ADD CONSTRAINT delivery_of_still_critical_is_a_reminder
    CHECK (NOT still_critical OR (reminder > 0 AND long_drift_days = 0));
