"""ONE row per kind of record: what it is called where, whose it is, how it is searched and sent.

A new kind is a record and a declaration (``fhir_mappings/records``, ``fhir_mappings/resources``, each
with a line in its ``__init__``), R4's own invariants for it (``fhir_mappings/r4/invariants.py``), a row
here, and examples. Chart, sync, scopes, routes, the OpenAPI document, export and demo read this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from fhir_mappings.lens.resource import ResourceMapping
from fhir_mappings.records import ActivityStatus, CarePlanStatus, GoalStatus, QuestionnaireResponseStatus
from fhir_mappings.resources import BY_RESOURCE_TYPE as MAPPINGS

#: The FHIR search parameters that all kinds have, with the type of each, and those of a patient's.
_COMMON = {"_id": "token", "_lastUpdated": "date", "identifier": "token"}
_OF_PATIENT = {**_COMMON, "patient": "reference", "subject": "reference"}


@dataclass(frozen=True, kw_only=True)
class RecordType:
    """A kind of record.

    path: of its routes, below /api/v1. is_of_patient: about one patient, whom it names as its subject;
    all else is shared. is_synced: kept in step with FHIR servers. status_element: the element of the
    resource that says how it stands. entered_in_error: the status of a record that is withdrawn.
    has_one_identifier: R4 leaves room for one alone, which may be somebody else's.
    search_parameters: name -> FHIR type, as `/fhir` offers them.
    """

    resource_type: str
    path: str
    is_of_patient: bool = True
    is_synced: bool = True
    status_element: str = "status"
    entered_in_error: StrEnum | None = None
    has_one_identifier: bool = False
    search_parameters: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({**_OF_PATIENT, "status": "token"})
    )

    @property
    def mapping(self) -> ResourceMapping[Any] | None:
        """How it is translated; None for what is kept as FHIR alone, without words of ours."""
        return MAPPINGS.get(self.resource_type)

    @property
    def name(self) -> str:
        """What we call it: the ``type`` of its records."""
        return self.mapping.record.__name__ if self.mapping else self.resource_type


#: Those that others refer to come first.
ALL = (
    RecordType(
        resource_type="Questionnaire",
        path="questionnaires",
        is_of_patient=False,
        is_synced=False,
        search_parameters={**_COMMON, "status": "token", "url": "uri"},
    ),
    RecordType(
        resource_type="Goal",
        path="goals",
        status_element="lifecycleStatus",
        entered_in_error=GoalStatus.ENTERED_IN_ERROR,
        search_parameters={**_OF_PATIENT, "lifecycle-status": "token"},
    ),
    RecordType(
        resource_type="ServiceRequest",
        path="activities",
        entered_in_error=ActivityStatus.ENTERED_IN_ERROR,
    ),
    RecordType(
        resource_type="CarePlan",
        path="care-plans",
        entered_in_error=CarePlanStatus.ENTERED_IN_ERROR,
    ),
    RecordType(
        resource_type="QuestionnaireResponse",
        path="questionnaire-responses",
        entered_in_error=QuestionnaireResponseStatus.ENTERED_IN_ERROR,
        has_one_identifier=True,
        search_parameters={**_OF_PATIENT, "status": "token", "questionnaire": "reference"},
    ),
)

BY_RESOURCE_TYPE = {one.resource_type: one for one in ALL}
BY_NAME = {one.name: one for one in ALL}

#: Types that are about one patient.
OF_PATIENT = frozenset(one.resource_type for one in ALL if one.is_of_patient)
#: Types that are kept in step with servers, in the order in which they are read and sent.
SYNCED = tuple(one.resource_type for one in ALL if one.is_synced)
#: Kinds that are spoken of in our own words, in the order of the documentation.
IN_OUR_WORDS = tuple(BY_RESOURCE_TYPE[resource_type] for resource_type in MAPPINGS)
