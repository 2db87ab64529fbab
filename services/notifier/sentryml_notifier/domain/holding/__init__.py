"""Holds: when a route holds its alerts, and the summary of what it has held."""
