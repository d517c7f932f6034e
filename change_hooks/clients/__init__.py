"""The sending side: hooks for version control systems, and ways to try a receiver."""
