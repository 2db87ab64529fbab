"""The notifier's rules: who is notified of what, when it is retried, and with which text. Pure."""
