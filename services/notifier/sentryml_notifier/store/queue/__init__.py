"""Deliveries that wait: what is due, alone or in an alert group, and what is tried again."""
