"""Accepts changes and returns a receipt."""
