"""What is wrong with a receiver and all that it needs, found by looking at all of it."""
