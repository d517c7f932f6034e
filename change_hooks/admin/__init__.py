"""The admin page, on a separate port, and the resources that are mounted next to it."""
