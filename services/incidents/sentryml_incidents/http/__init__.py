"""REST API and pages of incidents, by noun. Nothing else speaks HTTP."""
