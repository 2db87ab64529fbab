"""What of SentryML itself does not work, over HTTP."""
