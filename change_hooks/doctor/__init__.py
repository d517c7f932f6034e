"""Diagnosis of a receiver: its configuration, journal, disk, certificates, webhooks and clock."""
