"""Who is who, and what is called how, there."""
