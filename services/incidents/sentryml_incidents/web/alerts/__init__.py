"""Pages of alerts: routes, channels, deliveries."""
