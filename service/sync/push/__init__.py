"""Here to there."""
