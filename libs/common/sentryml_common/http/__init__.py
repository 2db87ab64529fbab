"""What every service answers over HTTP: health, metrics, problems."""
