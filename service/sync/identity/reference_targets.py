"""Which types, named by identifier, may be given an address there, and whose each has to be. Pure.

An identifier alone does not tell whose something is: two patients' findings can carry the same. So
only these types are looked for; all others travel by name, as do findings that are somebody else's.
"""

from collections.abc import Mapping
from types import MappingProxyType

from fhir_mappings.r4.shapes import words

#: Types that no element of R4 ties to a patient: whoever names one by its identifier means the same.
#: A closed list. What is not in it and has no owner below (a Group, a Schedule, an Account of several
#: patients, an Appointment, a Person) is not known to be nobody's. A Patient is who carries the identifier.
OF_NOBODY = words(
    "Patient Practitioner PractitionerRole Organization OrganizationAffiliation Location HealthcareService "
    "Medication Substance"
)

_BY_SUBJECT = words(
    "AdverseEvent Basic CarePlan CareTeam ChargeItem ClinicalImpression Communication CommunicationRequest "
    "Composition Condition DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest "
    "DocumentReference Encounter Flag Goal GuidanceResponse ImagingStudy Invoice List MeasureReport Media "
    "MedicationAdministration MedicationDispense MedicationRequest MedicationStatement Observation Procedure "
    "QuestionnaireResponse RequestGroup RiskAssessment ServiceRequest Specimen"
)
_BY_PATIENT = words(
    "AllergyIntolerance BodyStructure Claim ClaimResponse Consent CoverageEligibilityRequest "
    "CoverageEligibilityResponse DetectedIssue Device EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory "
    "Immunization ImmunizationEvaluation ImmunizationRecommendation MolecularSequence NutritionOrder "
    "RelatedPerson SupplyDelivery VisionPrescription"
)

#: Types that are one patient's, and the element of R4 that says whose.
OWNER_ELEMENT: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(_BY_SUBJECT, "subject"),
        **dict.fromkeys(_BY_PATIENT, "patient"),
        "Coverage": "beneficiary",
        "EnrollmentRequest": "candidate",
        "ResearchSubject": "individual",
        "Task": "for",
    }
)


def is_looked_for(resource_type: str) -> bool:
    """Tell whether something of this type that is named by identifier can be given an address."""
    return resource_type in OF_NOBODY or resource_type in OWNER_ELEMENT
