"""What a FHIR server is, and what it takes."""
