"""What operators see: the page, on a port of its own, and what else is mounted beside it."""
