"""The mappings that exist, by FHIR resource type and by record type."""

from typing import Any

from fhir_mappings.lens.resource import ResourceMapping
from fhir_mappings.resources.activity import ACTIVITY
from fhir_mappings.resources.care_plan import CARE_PLAN
from fhir_mappings.resources.goal import GOAL
from fhir_mappings.resources.questionnaire_response import QUESTIONNAIRE_RESPONSE

_ALL: tuple[ResourceMapping[Any], ...] = (GOAL, CARE_PLAN, ACTIVITY, QUESTIONNAIRE_RESPONSE)

BY_RESOURCE_TYPE = {mapping.resource_type: mapping for mapping in _ALL}
BY_RECORD_TYPE = {mapping.record.__name__: mapping for mapping in _ALL}
