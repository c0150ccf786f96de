"""Patients: registered by what they are called elsewhere, so that records can be about them; who is who."""

from typing import Any

from flask import Response
from flask.views import MethodView

from fhir_mappings.references import Name
from service.chart import Patient
from service.routes import access, addresses, openapi_parts
from service.routes.api import sync_json as sync_told
from service.routes.blueprint import ApiBlueprint
from service.routes.responses import answer, page
from service.routes.services import chart, principal, register, sync
from service.schemas.bodies import (
    AddedIdentifierSchema,
    CorrectedIdentifierSchema,
    MatchSchema,
    MergeSchema,
    NewPatientSchema,
    PatientIdentifierSchema,
    PatientSchema,
)
from service.schemas.queries import PatientQuery

blueprint = ApiBlueprint(
    "patients", __name__, url_prefix="/api/v1/patients", description="Whom records are about."
)

_SYSTEM = "https://clinic.example/patients"
_EXAMPLE = {"identifiers": [{"system": _SYSTEM, "value": "example"}]}

_CHANGE = {
    "type": "object",
    "required": ["action", "detail", "actor", "at"],
    "properties": {
        "action": {"enum": ["register", "add", "correct", "remove", "merge", "unmerge"]},
        "detail": {"type": "object", "description": "The identifiers or patients that it was about."},
        "actor": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
    },
}


def told(patient: Patient) -> dict[str, Any]:
    """Return a patient as JSON."""
    identifiers = [{"system": system, "value": value} for system, value in patient.identifiers]
    merged = {"merged_into": patient.merged_into} if patient.merged_into else {}
    return {"type": "Patient", "id": patient.id, "identifiers": identifiers, **merged}


def _whole(patient: Patient, status: int = 200) -> Response:
    return answer({**told(patient), "set_aside": chart().set_aside_count(patient.id)}, status)


def _require_change() -> None:
    """Raise Forbidden unless who asks may say who is who, which concerns more than one patient."""
    principal().require("Patient", "u")
    principal().require_all_patients()


def _name(identifier: dict[str, Any]) -> Name:
    return identifier["system"], identifier["value"]


@blueprint.route("")
class Patients(MethodView):
    @blueprint.arguments(PatientQuery, location="query")
    @blueprint.response(200, openapi_parts.listing(PatientSchema))
    @blueprint.refuses()
    def get(self, query: dict[str, Any]) -> Response:
        """List patients, or find one by identifier"""
        identifier = query["identifier"] and access.split_identifier(query["identifier"])
        found = access.patients(None, identifier, query["limit"], query["after"])
        return page([told(patient) for patient in found.entries], found.next_after)

    @blueprint.arguments(NewPatientSchema, example=_EXAMPLE)
    @blueprint.response(201, PatientSchema, headers={"Location": openapi_parts.CREATED["Location"]})
    @blueprint.refuses(409, 413, 415, 422)
    def post(self, body: dict[str, Any]) -> Response:
        """Register a patient; the same identifiers again give the same patient"""
        principal().require("Patient", "c")
        principal().require_all_patients()
        identifiers = [_name(identifier) for identifier in body["identifiers"]]
        patient = chart().register_patient(identifiers, principal().actor, also=body["also"])
        return answer(told(patient), 201, {"Location": addresses.relative(f"/api/v1/patients/{patient.id}")})


@blueprint.route("/<fhir_id:patient_id>")
@blueprint.response(200, PatientSchema)
@blueprint.refuses(404)
def get_patient(patient_id: str) -> Response:
    """Read a patient; `set_aside` counts records that wait, shown to nobody, for a person's decision"""
    return _whole(access.patient(patient_id))


@blueprint.route("/<fhir_id:patient_id>/history")
@blueprint.response(200, openapi_parts.listing(_CHANGE))
@blueprint.refuses(404)
def history(patient_id: str) -> Response:
    """List what was done to what a patient is called, newest first"""
    principal().require_all_patients()
    access.patient(patient_id)
    rows = [
        {"action": one.action, "detail": one.detail, "actor": one.actor, "at": one.at.isoformat()}
        for one in register().history(patient_id)
    ]
    return answer({"items": rows})


@blueprint.route("/<fhir_id:patient_id>/identifiers")
class Identifiers(MethodView):
    @blueprint.arguments(AddedIdentifierSchema, example={"system": _SYSTEM, "value": "second"})
    @blueprint.response(200, PatientSchema)
    @blueprint.refuses(404, 409, 413, 415, 422)
    def post(self, body: dict[str, Any], patient_id: str) -> Response:
        """Call a patient by one more identifier; every server is asked anew who that is"""
        _require_change()
        return _whole(
            register().add_identifier(patient_id, _name(body), principal().actor, also=body["also"])
        )


@blueprint.route("/<fhir_id:patient_id>/identifiers/correct", methods=["POST"])
@blueprint.arguments(
    CorrectedIdentifierSchema,
    example={
        "identifier": {"system": _SYSTEM, "value": "exmaple"},
        "corrected": {"system": _SYSTEM, "value": "example"},
    },
)
@blueprint.response(200, PatientSchema)
@blueprint.refuses(404, 409, 413, 415, 422)
def correct(body: dict[str, Any], patient_id: str) -> Response:
    """Say an identifier anew, in every record that names the patient by it too"""
    _require_change()
    old, new = _name(body["identifier"]), _name(body["corrected"])
    actor = principal().actor
    return _whole(register().correct_identifier(patient_id, old, new, actor, also=body["also"]))


@blueprint.route("/<fhir_id:patient_id>/identifiers/remove", methods=["POST"])
@blueprint.arguments(PatientIdentifierSchema, example={"system": _SYSTEM, "value": "second"})
@blueprint.response(200, PatientSchema)
@blueprint.refuses(404, 409, 413, 415, 422)
def remove(body: dict[str, Any], patient_id: str) -> Response:
    """Call a patient by an identifier no more; the last one stays"""
    _require_change()
    return _whole(register().remove_identifier(patient_id, _name(body), principal().actor))


@blueprint.route("/<fhir_id:patient_id>/merge", methods=["POST"])
@blueprint.arguments(MergeSchema, example={"into": "example"})
@blueprint.response(200, PatientSchema)
@blueprint.refuses(404, 409, 413, 415, 422)
def merge(body: dict[str, Any], patient_id: str) -> Response:
    """Make one patient of two who are the same person; answers with the one who stays"""
    _require_change()
    return _whole(register().merge(patient_id, body["into"], principal().actor))


@blueprint.route("/<fhir_id:patient_id>/unmerge", methods=["POST"])
@blueprint.response(200, PatientSchema)
@blueprint.refuses(404, 409, 422)
def unmerge(patient_id: str) -> Response:
    """Undo a merge: two patients again, by the list that was kept"""
    _require_change()
    return _whole(register().unmerge(patient_id, principal().actor))


@blueprint.route("/<fhir_id:patient_id>/matches")
class Matches(MethodView):
    @blueprint.response(200, openapi_parts.listing(sync_told.MATCH))
    @blueprint.refuses(404)
    def get(self, patient_id: str) -> Response:
        """Tell which Patient a patient is on each server, or why none"""
        principal().require_sync()
        principal().require_all_patients()
        access.patient(patient_id)
        return answer({"items": [sync_told.match(one) for one in sync().matches(patient_id)]})

    @blueprint.arguments(MatchSchema, example={"connection": "clinic", "server_id": "example"})
    @blueprint.response(200, openapi_parts.listing(sync_told.MATCH))
    @blueprint.refuses(404, 409, 413, 415, 422)
    def post(self, body: dict[str, Any], patient_id: str) -> Response:
        """Say which Patient there is the patient here, by the server's own id of them"""
        principal().require_sync()
        _require_change()
        access.patient(patient_id)
        sync().match_patient(patient_id, body["server_id"], body["connection"], principal().actor)
        return answer({"items": [sync_told.match(one) for one in sync().matches(patient_id)]})
