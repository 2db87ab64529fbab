"""What pages show, put into words and pictures. Pure."""
