"""The signed webhook."""
