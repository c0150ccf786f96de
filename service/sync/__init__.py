"""Keeping our records and those of external FHIR servers in step: here and there."""
