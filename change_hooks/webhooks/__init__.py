"""Webhooks made, compared, repaired, and given new secrets."""
