"""What other services of SentryML ask, with signed requests."""
