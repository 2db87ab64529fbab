"""Requests and answers between the services, over HTTP; the other contracts are messages on Kafka."""
