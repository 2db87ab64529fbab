"""What ingest decides: pure, with the time as an argument."""
