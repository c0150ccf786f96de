"""The border guard: is this tree a valid resource of FHIR R4 (4.0.1)?

The definitions come from ``fhir.resources``, which has R4B and not R4; what the two differ in is said here.
"""

from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from fhir.resources.R4B import get_fhir_model_class
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fhir_mappings.errors import Finding, InvalidResource
from fhir_mappings.r4 import invariants, questionnaire
from fhir_mappings.r4.primitives import CHECKS
from fhir_mappings.r4.shapes import Member, Shape, words
from fhir_mappings.r4.structure import Visit

#: Every type of resource that R4 has.
RESOURCE_TYPES = words(
    """
    Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent
    Basic Binary BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam
    CatalogEntry ChargeItem ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem
    Communication CommunicationRequest CompartmentDefinition Composition ConceptMap Condition Consent
    Contract Coverage CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue Device
    DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest
    DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest EnrollmentResponse
    EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit
    FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy
    Immunization ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan
    Invoice Library Linkage List Location Measure MeasureReport Media Medication MedicationAdministration
    MedicationDispense MedicationKnowledge MedicationRequest MedicationStatement MedicinalProduct
    MedicinalProductAuthorization MedicinalProductContraindication MedicinalProductIndication
    MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured
    MedicinalProductPackaged MedicinalProductPharmaceutical MedicinalProductUndesirableEffect
    MessageDefinition MessageHeader MolecularSequence NamingSystem NutritionOrder Observation
    ObservationDefinition OperationDefinition OperationOutcome Organization OrganizationAffiliation
    Parameters Patient PaymentNotice PaymentReconciliation Person PlanDefinition Practitioner
    PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson RequestGroup
    ResearchDefinition ResearchElementDefinition ResearchStudy ResearchSubject RiskAssessment
    RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen SpecimenDefinition
    StructureDefinition StructureMap Subscription Substance SubstanceNucleicAcid SubstancePolymer
    SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification
    SupplyDelivery SupplyRequest Task TerminologyCapabilities TestReport TestScript ValueSet
    VerificationResult VisionPrescription
    """
)

#: Types of R4 that R4B changed; those that it dropped are found by not being there.
_CHANGED_TYPES = frozenset({"Evidence", "EvidenceVariable"})
#: Datatypes and elements that R4B added to what R4 has.
_ADDED_TYPES = frozenset({"CodeableReference", "RatioRange"})
_ADDED_ELEMENTS = frozenset({"subjectCanonical"})

#: Primitives whose name in fhir.resources is not FHIR's own with a capital.
_PRIMITIVES = {name[0].upper() + name[1:]: name for name in CHECKS} | {
    "bool": "boolean",
    "EncodedBytes": "base64Binary",
    "UuidVersion": "uuid",
}

_RULES = invariants.RULES | questionnaire.RULES

_COMPARATORS = frozenset({"<", "<=", ">=", ">"})
_OBSERVATION_STATUSES = words(
    "registered preliminary final amended corrected cancelled entered-in-error unknown"
)
_ENCOUNTER_STATUSES = words(
    "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown"
)
#: Required bindings that the metadata of fhir.resources lacks or breaks off with a ``+``.
_CODES: dict[tuple[str, str], frozenset[str]] = {
    **{(name, "comparator"): _COMPARATORS for name in ("Quantity", "Age", "Count", "Distance", "Duration")},
    **{
        (name, "status"): _OBSERVATION_STATUSES for name in ("Observation", "RiskAssessment", "DetectedIssue")
    },
    **{(name, "status"): _ENCOUNTER_STATUSES for name in ("Encounter", "EncounterStatusHistory")},
    ("Questionnaire", "subjectType"): RESOURCE_TYPES | {"Resource", "DomainResource"},
    ("QuestionnaireItem", "type"): words(
        "group display question boolean decimal integer date dateTime time string text url choice open-choice"
        " attachment reference quantity"
    ),
    ("TimingRepeat", "when"): words(
        "MORN MORN.early MORN.late NOON AFT AFT.early AFT.late EVE EVE.early EVE.late NIGHT PHS HS WAKE"
        " C CM CD CV AC ACM ACD ACV PC PCM PCD PCV"
    ),
}
#: Lists of examples or of a wider binding, which the metadata shows as if they were all.
_NOT_ALL_CODES = frozenset({("Expression", "language"), ("CapabilityStatement", "format")})


def check(tree: Any) -> list[Finding]:
    """Return everything that keeps a tree from being a valid R4 resource; nothing is changed or raised."""
    findings: list[Finding] = []
    try:
        Visit(shape_of, RESOURCE_TYPES, findings).resource(tree)
    except RecursionError:
        findings.append(Finding("Resource", "is nested too deep", "too-long"))
    return findings


def require(tree: Any) -> None:
    """Raise InvalidResource, with all findings, unless the tree is a valid R4 resource."""
    findings = check(tree)
    if findings:
        raise InvalidResource(findings)


@cache
def shape_of(name: str) -> Shape:
    """Compile the definition of a type, once in the life of the process."""
    is_resource = name in RESOURCE_TYPES
    is_open = is_resource and (name in _CHANGED_TYPES or not _is_in_r4b(name))
    fields = _fields("DomainResource" if is_open else name)
    members = {field.alias or key: _member(name, field.alias or key, field) for key, field in fields.items()}
    members = {key: member for key, member in members.items() if member.type_name not in _ADDED_TYPES}
    choices = _choices(fields, members)
    return Shape(
        name=name,
        members=members,
        required=tuple(
            field.alias or key
            for key, field in fields.items()
            if _says(field, "element_required") or field.is_required()
        ),
        choices=choices,
        rules=_RULES.get(name, ()),
        is_resource=is_resource,
        is_open=is_open,
    )


def _is_in_r4b(name: str) -> bool:
    try:
        get_fhir_model_class(name)
    except ValueError:
        return False
    return True


def _fields(name: str) -> dict[str, FieldInfo]:
    model: type[BaseModel] = get_fhir_model_class(name)
    return {
        key: field
        for key, field in model.model_fields.items()
        if not key.endswith("__ext") and key not in _ADDED_ELEMENTS and _says(field, "element_property")
    }


def _says(field: FieldInfo, key: str) -> Any:
    extra = field.json_schema_extra
    return extra.get(key) if isinstance(extra, dict) else None


def _member(owner: str, name: str, field: FieldInfo) -> Member:
    type_name, many = _type(field.annotation)
    primitive = _PRIMITIVES.get(type_name) or ("xhtml" if type_name == "Xhtml" else None)
    if primitive is None:
        targets = frozenset(_says(field, "enum_reference_types") or ())
        return Member(
            type_name=type_name, many=many, targets=None if "Resource" in targets else targets or None
        )
    return Member(
        type_name=primitive,
        many=many,
        check=CHECKS["string" if primitive == "xhtml" else primitive],
        codes=_codes(owner, name, field) if primitive == "code" else None,
        # An element's own id is a plain member of the JSON, and XHTML has no extensions.
        has_sibling=primitive != "xhtml" and (name != "id" or owner in RESOURCE_TYPES),
    )


def _codes(owner: str, name: str, field: FieldInfo) -> frozenset[str] | None:
    known = _CODES.get((owner, name))
    listed = _says(field, "enum_values")
    if known or not listed or "+" in listed or (owner, name) in _NOT_ALL_CODES:
        return known
    return frozenset(listed)


def _type(annotation: Any) -> tuple[str, bool]:
    """Return the name of the type that an annotation means, and whether it is of many."""
    many = False
    while True:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return type(arguments[1]).__name__, many
        if origin is list:
            many, annotation = True, arguments[0]
        elif origin is Union or origin is UnionType:
            annotation = next(argument for argument in arguments if argument is not NoneType)
        else:
            return annotation.__name__.removesuffix("Type"), many


def _choices(
    fields: dict[str, FieldInfo], members: dict[str, Member]
) -> tuple[tuple[str, frozenset[str], bool], ...]:
    """Return the ``[x]`` groups; gives those of any type Meta, which R4B took away."""
    groups: dict[str, set[str]] = {}
    required: set[str] = set()
    for key, field in fields.items():
        name, stem = field.alias or key, _says(field, "one_of_many")
        if stem and name in members:
            groups.setdefault(stem, set()).add(name)
            if _says(field, "one_of_many_required"):
                required.add(stem)
    for stem, names in groups.items():
        if f"{stem}Dosage" in names:
            names.add(f"{stem}Meta")
            members.setdefault(f"{stem}Meta", Member(type_name="Meta", many=False))
    return tuple((stem, frozenset(names), stem in required) for stem, names in groups.items())
