"""What we ask of an authorization server."""
