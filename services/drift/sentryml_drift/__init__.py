"""SentryML drift."""
