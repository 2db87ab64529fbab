-- A route may send a summary each week. It is about no transition, so it is no delivery: each week is a row of its own,
-- taken with a lease as deliveries are, so that a restart neither loses nor doubles it.

ALTER TABLE route
  -- As people wrote it: `mon 09:00`. Null: no summary.
  ADD COLUMN weekly_summary text,
  -- Since when it is as it is: weeks that ended before are not summarised.
  ADD COLUMN weekly_since   timestamptz;

CREATE TABLE weekly_summary (
  route_id      uuid        NOT NULL CONSTRAINT weekly_summary_of_route REFERENCES route,
  ends_at       timestamptz NOT NULL,
  state         text        NOT NULL DEFAULT 'pending',
  due_at        timestamptz NOT NULL,
  -- The attempt under way; what a sender notes counts only while this is still its own.
  send_id       uuid,
  failures      integer     NOT NULL DEFAULT 0,
  failing_since timestamptz,
  possibly_sent boolean     NOT NULL DEFAULT false,
  plain         boolean     NOT NULL DEFAULT false,
  last_text     text,
  delivered_at  timestamptz,
  CONSTRAINT weekly_summary_key PRIMARY KEY (route_id, ends_at),
  CONSTRAINT weekly_summary_state_known CHECK (state IN ('pending', 'sending', 'delivered', 'given_up')),
  CONSTRAINT weekly_summary_sending_has_sender CHECK ((state = 'sending') = (send_id IS NOT NULL))
);
-- For what is due.
CREATE INDEX weekly_summary_due ON weekly_summary (due_at) WHERE state IN ('pending', 'sending');
