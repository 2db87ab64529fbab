"""What a monitor would have done: previews of other settings, and advice."""
