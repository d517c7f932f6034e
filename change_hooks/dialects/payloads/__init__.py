"""What forges send, as types, and what it is in neutral terms; one module for each family of forges."""
