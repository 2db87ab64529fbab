"""System alerts: that a part of SentryML stands still, when that begins and ends, and how it is said."""
