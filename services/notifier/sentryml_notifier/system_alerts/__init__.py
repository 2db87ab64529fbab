"""System alerts: noticing that a part of SentryML stands still, and notifying people."""
