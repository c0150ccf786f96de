"""One suite for the sandbox and for a real server, so that the sandbox cannot drift from reality."""
