"""FHIR REST: the client and what can come of a request."""
