"""The local stack: Kafka, PostgreSQL, all services and a stand-in for Slack, from packages alone."""
