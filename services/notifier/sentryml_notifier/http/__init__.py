"""The notifier over HTTP: its ledger, for people and tools that hold an API key."""
