"""From changes to a receipt."""
