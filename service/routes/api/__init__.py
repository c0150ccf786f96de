"""/api/v1: records and what is done with them, as JSON in our words."""
