"""Every code that we ship, in one table, with where it was verified; a test keeps others out.

Codes are compared by system and code, never by display: displays differ between editions.
"""

from dataclasses import dataclass
from enum import StrEnum

from fhir_mappings.records import CodeableConcept, Coding

#: Base of the canonical URLs that we publish (``definitions/``, CC0).
CANONICAL = "https://mainstay.health/fhir"

ACHIEVEMENT = "http://terminology.hl7.org/CodeSystem/goal-achievement"
GOAL_CATEGORY = "http://terminology.hl7.org/CodeSystem/goal-category"
GOAL_PRIORITY = "http://terminology.hl7.org/CodeSystem/goal-priority"
US_CORE_CARE_PLAN_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/careplan-category"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"

SELF_MANAGEMENT_COMPONENT = f"{CANONICAL}/CodeSystem/self-management-component"
READINESS_STAGE = f"{CANONICAL}/CodeSystem/readiness-stage"
FACILITATOR_BARRIER_ROLE = f"{CANONICAL}/CodeSystem/facilitator-barrier-role"
ACTIVITY_KIND = f"{CANONICAL}/CodeSystem/activity-kind"
GOAL_REVIEW_OUTCOME = f"{CANONICAL}/CodeSystem/goal-review-outcome"
PLAN_KIND = f"{CANONICAL}/CodeSystem/plan-kind"

#: Standard and own extensions, each the one structured home of a field (``definitions/``).
PERTAINS_TO_GOAL = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"
WHY_IT_MATTERS = f"{CANONICAL}/StructureDefinition/goal-why-it-matters"
MILESTONE = f"{CANONICAL}/StructureDefinition/goal-milestone"
SEEK_HELP = f"{CANONICAL}/StructureDefinition/careplan-seek-help"
GENERATED_NARRATIVE = f"{CANONICAL}/StructureDefinition/generated-narrative"


@dataclass(frozen=True)
class Shipped:
    """One code that may stand in what we write; verified: where it was read.

    text: what it means, in few words; for HL7's and our own codes also its display.
    """

    system: str
    code: str
    text: str
    verified: str

    @property
    def concept(self) -> CodeableConcept:
        """The code as a concept, with text."""
        # Displays of LOINC and SNOMED CT differ between editions, and servers may refuse another's.
        display = None if self.system in (LOINC, SNOMED) else self.text
        coding = Coding(system=self.system, code=self.code, display=display)
        return CodeableConcept(codings=(coding,), text=self.text)


class PlanKind(StrEnum):
    """What a plan is for."""

    SELF_MANAGEMENT = "self-management"
    FLARE_UP = "flare-up"


_HL7 = "HL7 Terminology (UTG, 2026-08)"
_US_CORE = "US Core 6.1.0"
_GPS = "SNOMED CT Global Patient Set 20200930, CC BY 4.0"
_PA = "hl7.fhir.us.physical-activity 1.0.1"
_PCO = "hl7.fhir.us.pco 1.0.0"
_CDS4CPM = "cqframework/cds4cpm"
_OWN = "published here, CC0"

SHIPPED: tuple[Shipped, ...] = (
    Shipped(ACHIEVEMENT, "in-progress", "In Progress", _HL7),
    Shipped(ACHIEVEMENT, "improving", "Improving", _HL7),
    Shipped(ACHIEVEMENT, "worsening", "Worsening", _HL7),
    Shipped(ACHIEVEMENT, "no-change", "No Change", _HL7),
    Shipped(ACHIEVEMENT, "achieved", "Achieved", _HL7),
    Shipped(ACHIEVEMENT, "sustaining", "Sustaining", _HL7),
    Shipped(ACHIEVEMENT, "not-achieved", "Not Achieved", _HL7),
    Shipped(ACHIEVEMENT, "no-progress", "No Progress", _HL7),
    Shipped(ACHIEVEMENT, "not-attainable", "Not Attainable", _HL7),
    Shipped(GOAL_CATEGORY, "dietary", "Dietary", _HL7),
    Shipped(GOAL_CATEGORY, "safety", "Safety", _HL7),
    Shipped(GOAL_CATEGORY, "behavioral", "Behavioral", _HL7),
    Shipped(GOAL_CATEGORY, "nursing", "Nursing", _HL7),
    Shipped(GOAL_CATEGORY, "physiotherapy", "Physiotherapy", _HL7),
    Shipped(GOAL_PRIORITY, "high-priority", "High Priority", _HL7),
    Shipped(GOAL_PRIORITY, "medium-priority", "Medium Priority", _HL7),
    Shipped(GOAL_PRIORITY, "low-priority", "Low Priority", _HL7),
    Shipped(US_CORE_CARE_PLAN_CATEGORY, "assess-plan", "Assessment and Plan of Treatment", _US_CORE),
    Shipped(LOINC, "89555-7", "Days a week with moderate to strenuous activity", _PA),
    Shipped(LOINC, "68516-4", "Minutes a day of moderate to strenuous activity", _PA),
    Shipped(LOINC, "82290-8", "Minutes a week of moderate to vigorous activity", _PA),
    Shipped(LOINC, "82291-6", "Days a week with strength exercises", _PA),
    Shipped(LOINC, "41950-7", "Steps in 24 hours", _PA),
    Shipped(LOINC, "107332-9", "Goal attainment scale", _PCO),
    Shipped(LOINC, "72514-3", "Pain now, 0 to 10", _CDS4CPM),
    Shipped(LOINC, "75893-8", "Pain on average in the past week, 0 to 10", _CDS4CPM),
    Shipped(SNOMED, "279039007", "Low back pain", _GPS),
    Shipped(SNOMED, "278860009", "Chronic low back pain", _GPS),
    Shipped(SNOMED, "278862001", "Acute low back pain", _GPS),
    Shipped(SNOMED, "192970008", "Cauda equina syndrome", _GPS),
    Shipped(SNOMED, "311401005", "Patient education", _GPS),
    Shipped(SNOMED, "225967005", "Self-care patient education", _GPS),
    Shipped(SNOMED, "410239009", "Pain control education", _GPS),
    Shipped(SNOMED, "304507003", "Exercise education", _GPS),
    Shipped(SNOMED, "409073007", "Education", _GPS),
    Shipped(SNOMED, "710157009", "Promotion of self management of symptom", _GPS),
    Shipped(SNOMED, "710873001", "Involving client in decision making process", _GPS),
    Shipped(SNOMED, "414039005", "Distraction", _GPS),
    Shipped(SNOMED, "410304007", "Relaxation/breathing education", _GPS),
    Shipped(SNOMED, "440314008", "Progressive muscle relaxation education", _GPS),
    Shipped(SNOMED, "51998003", "Therapeutic exercise", _GPS),
    Shipped(SNOMED, "256235009", "Exercise", _GPS),
    Shipped(SNOMED, "91251008", "Physical therapy procedure", _GPS),
    Shipped(SNOMED, "710736005", "Education about relapse prevention", _GPS),
    Shipped(SNOMED, "405782001", "Relapse prevention", _GPS),
    Shipped(SNOMED, "711281004", "Referral to support group", _GPS),
    Shipped(SELF_MANAGEMENT_COMPONENT, "value-based-goals", "Value-based goals guide management", _OWN),
    Shipped(SELF_MANAGEMENT_COMPONENT, "shared-decision", "Shared decisions about the plan", _OWN),
    Shipped(SELF_MANAGEMENT_COMPONENT, "readiness", "Readiness to change", _OWN),
    Shipped(SELF_MANAGEMENT_COMPONENT, "make-sense", "Making sense of symptoms", _OWN),
    Shipped(SELF_MANAGEMENT_COMPONENT, "problem-solving-skills", "Skills to solve everyday problems", _OWN),
    Shipped(SELF_MANAGEMENT_COMPONENT, "successful-experiences", "Successful experiences", _OWN),
    Shipped(SELF_MANAGEMENT_COMPONENT, "pain-emotion-tools", "Tools for pain and emotions", _OWN),
    Shipped(SELF_MANAGEMENT_COMPONENT, "evaluate-goals", "Evaluation and adjustment of goals", _OWN),
    Shipped(SELF_MANAGEMENT_COMPONENT, "evaluate-understanding", "Evaluation of understanding", _OWN),
    Shipped(SELF_MANAGEMENT_COMPONENT, "action-planning", "Action planning", _OWN),
    Shipped(READINESS_STAGE, "precontemplation", "Precontemplation", _OWN),
    Shipped(READINESS_STAGE, "contemplation", "Contemplation", _OWN),
    Shipped(READINESS_STAGE, "preparation", "Preparation", _OWN),
    Shipped(READINESS_STAGE, "action", "Action", _OWN),
    Shipped(READINESS_STAGE, "maintenance", "Maintenance", _OWN),
    Shipped(FACILITATOR_BARRIER_ROLE, "facilitator", "Facilitator", _OWN),
    Shipped(FACILITATOR_BARRIER_ROLE, "barrier-to-change", "Barrier to change", _OWN),
    Shipped(FACILITATOR_BARRIER_ROLE, "barrier-to-maintaining", "Barrier to maintaining change", _OWN),
    Shipped(ACTIVITY_KIND, "graded-exposure", "Graded exposure", _OWN),
    Shipped(ACTIVITY_KIND, "movement-exploration", "Movement exploration", _OWN),
    Shipped(ACTIVITY_KIND, "pacing", "Pacing", _OWN),
    Shipped(ACTIVITY_KIND, "mindfulness", "Mindfulness", _OWN),
    Shipped(ACTIVITY_KIND, "breathing", "Breathing exercise", _OWN),
    Shipped(ACTIVITY_KIND, "distraction", "Distraction", _OWN),
    Shipped(ACTIVITY_KIND, "flare-step", "Step in a flare-up", _OWN),
    Shipped(ACTIVITY_KIND, "seek-help", "Seeking help", _OWN),
    Shipped(GOAL_REVIEW_OUTCOME, "fully", "Fully achieved", _OWN),
    Shipped(GOAL_REVIEW_OUTCOME, "partly", "Partly achieved", _OWN),
    Shipped(GOAL_REVIEW_OUTCOME, "not-at-all", "Not at all achieved", _OWN),
    Shipped(GOAL_REVIEW_OUTCOME, "not-reviewed", "Not reviewed", _OWN),
    Shipped(PLAN_KIND, "self-management", "Self-management plan", _OWN),
    Shipped(PLAN_KIND, "flare-up", "Flare-up plan", _OWN),
)

_BY_CODE = {(shipped.system, shipped.code): shipped for shipped in SHIPPED}
if len(_BY_CODE) != len(SHIPPED):
    raise AssertionError("a code stands twice in the table")


def concept(system: str, code: str) -> CodeableConcept:
    """Return a shipped code as a concept. Raises KeyError for a code that is not in the table."""
    return _BY_CODE[system, code].concept


def is_shipped(system: str | None, code: str | None) -> bool:
    """Tell whether a code stands in the table."""
    return (system, code) in _BY_CODE


def plan_kind(kind: PlanKind) -> CodeableConcept:
    """Return the category that says what a plan is for."""
    return concept(PLAN_KIND, kind)


ASSESS_PLAN = concept(US_CORE_CARE_PLAN_CATEGORY, "assess-plan")
