"""`sentryml send FILE`: the events of a file to ingest, each once, also when it is stopped and run again."""
