"""SentryML incidents."""
