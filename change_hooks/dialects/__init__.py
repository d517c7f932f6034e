"""One module per dialect: how deliveries are verified and named, then one method per event."""
