"""`sentryml monitors`: monitors as YAML files in git, one file a monitor."""
