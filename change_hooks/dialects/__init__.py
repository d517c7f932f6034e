"""One module per dialect: the payload's shapes at the top, how it is signed, then the events."""
