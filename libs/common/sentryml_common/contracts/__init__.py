"""The messages between the services: the only thing all of them share by meaning.

Knows no broker and no database. Producers are strict (a message is validated when it is made), consumers
tolerate unknown fields.
"""
