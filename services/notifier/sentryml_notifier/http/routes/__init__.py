"""`/v1/routes`: which transitions go to which channels."""
