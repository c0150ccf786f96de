"""/fhir: the same records for FHIR R4 clients."""
