"""`sentryml-admin`: commands straight into PostgreSQL."""
