"""The command `sentryml`: send a file, look at models and incidents, find out why nothing arrives."""
