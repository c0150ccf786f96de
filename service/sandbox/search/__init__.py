"""Search as the sandbox offers it."""
