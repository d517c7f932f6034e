"""Integration into other programs."""
