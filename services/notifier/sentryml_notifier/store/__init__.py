"""The notifier's tables. Each function is one step of a transaction that its caller owns.

Locks are taken in one order, routes before channel before deliveries, so that nobody waits in a circle.
"""
