"""All that apprise knows."""
