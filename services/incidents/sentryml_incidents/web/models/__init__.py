"""Pages of models and their monitors."""
