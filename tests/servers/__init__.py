"""Real servers for the tests: a FHIR server (HAPI) and a database (PostgreSQL), on free loopback ports."""
