"""The demo: a real model on real flights, played day by day through the whole system.

The drift is the data's own: nothing is injected and no threshold is bent. Everything goes through the public
ways in (HTTP gateway, Kafka topic, REST API), as it would for a user.
"""
