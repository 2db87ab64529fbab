"""The rules of incidents, pure: contracts and values in, decisions out. No clock, no ids made up, no I/O."""
