"""The parts that need no reactor, no socket and no clock."""
