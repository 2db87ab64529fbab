"""Signing in, accounts, users and API keys."""
