"""Inside other programs."""
