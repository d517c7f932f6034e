"""What never came: found in the forge's own log of deliveries, and fetched."""
