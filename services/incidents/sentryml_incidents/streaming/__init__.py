"""Changes as they happen, for clients of the stream and for open pages."""
