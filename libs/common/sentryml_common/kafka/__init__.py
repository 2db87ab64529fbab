"""Kafka by aiokafka: clients that wait for the broker, an idempotent producer, the batch-consumer loop."""
