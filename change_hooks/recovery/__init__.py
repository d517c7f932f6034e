"""Recovery: deliveries that never arrived are found in the forge's own log, and fetched."""
