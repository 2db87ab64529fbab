"""The notifier's rules: who hears what, when it is tried again, and how it is said. Pure."""
