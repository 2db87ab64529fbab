-- A route may hold its alerts at some hours, and in planned windows: they are delivered together when the hold ends. Its
-- time zone is that of its messages, too; and a route may mention a user group of Slack.

ALTER TABLE route
  ADD COLUMN time_zone            text    NOT NULL DEFAULT 'UTC',
  -- As people wrote them: `mon-fri 18:00-08:00`, `2026-12-24 18:00 to 2026-12-27 08:00 for fraud-*`.
  ADD COLUMN hold_hours           text[]  NOT NULL DEFAULT '{}',
  ADD COLUMN hold_windows         text[]  NOT NULL DEFAULT '{}',
  ADD COLUMN hold_critical        boolean NOT NULL DEFAULT false,
  -- Slack's ids of the user groups that alerts of a severity mention.
  ADD COLUMN slack_group_warn     text,
  ADD COLUMN slack_group_critical text;

-- A delivery that was held, and until when: it is not due before, whatever happens to it.
ALTER TABLE delivery ADD COLUMN held_until timestamptz;
-- For what is delivered together when a hold ends, and for what is held when its route is changed.
CREATE INDEX delivery_held ON delivery (channel_id, held_until) WHERE held_until IS NOT NULL AND state <> 'delivered';

-- Its incidents were held, and reported in one summary.
ALTER TABLE alert_group ADD COLUMN held boolean NOT NULL DEFAULT false;

-- Until when it is held is published too.
DROP TRIGGER delivery_revised ON delivery;
CREATE TRIGGER delivery_revised BEFORE UPDATE ON delivery
  FOR EACH ROW WHEN (
    NEW.state <> 'sending'
    AND (OLD.state, OLD.due_at, OLD.parked_because, OLD.last_text, OLD.delivered_at, OLD.group_id, OLD.held_until)
      IS DISTINCT FROM (NEW.state, NEW.due_at, NEW.parked_because, NEW.last_text, NEW.delivered_at, NEW.group_id,
                        NEW.held_until))
  EXECUTE FUNCTION revise_delivery();
