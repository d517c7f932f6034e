"""The REST APIs of the forges."""
