"""The SQL of accounts, sessions and API keys."""
