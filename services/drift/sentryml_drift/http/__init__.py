"""The processor over HTTP: what other services ask it."""
