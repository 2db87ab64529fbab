"""Sentences: numbers, explanations and the names of steps, for pages, alerts and API alike."""
