"""HTTP: the front, admission, answers."""
