"""HTTP: the front, admission, responses."""
