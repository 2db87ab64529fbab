"""What becomes of a foreign message, without I/O."""
