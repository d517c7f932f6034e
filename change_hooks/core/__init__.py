"""What needs no reactor, no socket and no clock."""
