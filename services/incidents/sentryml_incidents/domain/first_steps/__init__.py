"""Setting up a new installation."""
