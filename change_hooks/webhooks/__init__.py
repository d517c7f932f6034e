"""Creating, checking and repairing webhooks, and rotating their secrets."""
