"""There to here."""
