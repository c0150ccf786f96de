"""Tests mirror the two packages; servers/ starts the real ones beside them."""
