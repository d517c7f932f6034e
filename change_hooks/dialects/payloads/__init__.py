"""The forges' payloads as types, and their conversion to the neutral form; one module per forge family."""
