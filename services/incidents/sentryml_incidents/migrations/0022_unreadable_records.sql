-- Records that could not be used, counted from dead letters by hour, topic, reason and sender: what people are shown. No
-- payload, and the newest of each alone with where it is. Sums of hours are few, and are kept as long as dead letters.

CREATE TABLE unreadable_hour (
  hour      timestamptz NOT NULL,
  topic     text        NOT NULL,
  reason    text        NOT NULL,
  -- Empty where the record names none.
  sender    text        NOT NULL,
  records   bigint      NOT NULL,
  newest_at timestamptz NOT NULL,
  partition integer     NOT NULL,
  "offset"  bigint      NOT NULL,
  detail    text        NOT NULL,
  CONSTRAINT unreadable_hour_key PRIMARY KEY (hour, topic, reason, sender)
);

-- Up to where letters have been counted. A service that starts again may write some a second time, in the same order.
CREATE TABLE unreadable_counted (
  service   text        NOT NULL,
  topic     text        NOT NULL,
  partition integer     NOT NULL,
  "offset"  bigint      NOT NULL,
  at        timestamptz NOT NULL,
  CONSTRAINT unreadable_counted_key PRIMARY KEY (service, topic, partition)
);
