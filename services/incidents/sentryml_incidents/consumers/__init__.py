"""What incidents reads from Kafka, by topic."""
