"""Ratios of things run side by side in one run: ``make bench``."""
