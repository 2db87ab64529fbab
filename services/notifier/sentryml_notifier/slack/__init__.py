"""Slack beside its channels: threads that are kept up to date, buttons that are pressed."""
