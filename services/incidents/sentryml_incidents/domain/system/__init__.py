"""Whether SentryML itself works: evaluations that are missing, and what stands still."""
