"""FHIR R4 mappings of self-management records: pure, no HTTP, no clock, no database."""
