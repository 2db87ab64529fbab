"""The REST API, by noun."""
