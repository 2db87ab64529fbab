-- Routes and channels are made and changed by people: what a route takes, who changed what, and reminders.

ALTER TABLE route
  -- Alarms below it are left to other routes.
  ADD COLUMN least_severity       text        NOT NULL DEFAULT 'warn',
  -- Kinds of transitions; none means whatever alerts. The end of an alarm goes where the alarm went.
  ADD COLUMN kinds                text[]      NOT NULL DEFAULT '{}',
  ADD COLUMN enabled              boolean     NOT NULL DEFAULT true,
  -- While an incident that it took stays open and unseen: after this time, and again each such time. Null: never.
  ADD COLUMN remind_after_seconds integer,
  ADD COLUMN remind_times         integer     NOT NULL DEFAULT 3,
  ADD COLUMN version              integer     NOT NULL DEFAULT 1,
  ADD COLUMN created_at           timestamptz NOT NULL DEFAULT now(),
  -- A route that took something is named by its deliveries for ever: it is marked, not deleted.
  ADD COLUMN deleted_at           timestamptz,
  ADD CONSTRAINT route_severity_known CHECK (least_severity IN ('warn', 'critical')),
  ADD CONSTRAINT route_reminds_slowly CHECK (remind_after_seconds >= 300),
  DROP CONSTRAINT route_name_unique;
CREATE UNIQUE INDEX route_name_unique ON route (name) WHERE deleted_at IS NULL;

-- What may be shown of a secret, so that people tell one from another.
ALTER TABLE channel ADD COLUMN secret_hint text;

ALTER TABLE delivery
  -- 0 tells the transition itself; n is the n-th reminder of it.
  ADD COLUMN reminder  smallint NOT NULL DEFAULT 0,
  -- An alarm whose incident may still ask for reminders.
  ADD COLUMN reminding boolean  NOT NULL DEFAULT false,
  DROP CONSTRAINT delivery_once_per_route,
  ADD CONSTRAINT delivery_once_per_route UNIQUE (transition_id, route_id, reminder),
  DROP CONSTRAINT delivery_parked_reason_known,
  -- The last two are ends: it is not sent any more, and says why.
  ADD CONSTRAINT delivery_parked_reason_known
    CHECK (parked_because IN ('channel_broken', 'gave_up', 'message_refused', 'channel_deleted', 'not_needed'));
-- What the timer of reminders asks for: PostgreSQL cannot look into a message that holds U+0000. Null in older rows.
ALTER TABLE transition
  ADD COLUMN step_kind   text,
  ADD COLUMN to_state    text,
  ADD COLUMN happened_at timestamptz;
-- For the timer of reminders.
CREATE INDEX delivery_reminding ON delivery (incident_id) WHERE reminding;

-- Who changed what: channels, routes, retries, tests. Never a secret.
CREATE TABLE change (
  change_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL,
  actor      jsonb       NOT NULL,
  action     text        NOT NULL,
  -- The channel, route or delivery, and what it was called then.
  subject_id uuid        NOT NULL,
  subject    text        NOT NULL,
  words      text        NOT NULL,
  CONSTRAINT change_action_known CHECK (action IN
    ('channel_made', 'channel_changed', 'secret_replaced', 'channel_deleted', 'route_made', 'route_changed',
     'route_deleted', 'retry_asked', 'test_sent'))
);
CREATE TRIGGER change_append_only BEFORE UPDATE OR DELETE ON change
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
