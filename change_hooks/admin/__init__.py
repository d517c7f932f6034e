"""The admin page, on a separate port, and the resources that are mounted beside it."""
