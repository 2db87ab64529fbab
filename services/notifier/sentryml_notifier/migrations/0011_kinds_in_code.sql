-- Kinds of channels are known to the code alone (channels/kinds.py): a new one needs no migration. A channel of a kind
-- that a notifier does not know is broken, and says so.

ALTER TABLE channel
  DROP CONSTRAINT channel_kind_known;
