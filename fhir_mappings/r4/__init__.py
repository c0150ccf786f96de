"""The border guard: what is valid FHIR R4, and where something is not."""

from fhir_mappings.r4.guard import RESOURCE_TYPES, check, require

__all__ = ["RESOURCE_TYPES", "check", "require"]
