"""Slack by incoming webhook."""
