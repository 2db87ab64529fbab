"""SentryML ingest."""
