"""SentryML notifier."""
