"""Two versions of one resource made one; pure."""
