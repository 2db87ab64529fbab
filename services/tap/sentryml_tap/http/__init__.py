"""What the tap is sent over HTTP."""
