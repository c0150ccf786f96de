"""Mainstay, the service: records in, FHIR out, an external FHIR server kept in step."""
