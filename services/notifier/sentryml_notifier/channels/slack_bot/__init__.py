"""Slack by bot token."""
