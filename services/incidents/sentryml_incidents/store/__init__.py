"""The SQL of incidents, by noun. One function, one purpose; the caller owns connection and transaction."""
