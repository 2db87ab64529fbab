"""Deliveries: sent, reminded of, audited."""
