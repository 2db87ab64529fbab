"""The processor's table: a partition's values in Kafka's changelog and in a local copy."""
