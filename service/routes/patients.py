"""Patients: registered by what they are called elsewhere, so that records can be about them."""

from typing import Any

from flask import Response
from flask.views import MethodView

from service.chart import Patient
from service.routes import access, addresses, described
from service.routes.blueprint import Noun
from service.routes.outbound import answer, page
from service.routes.services import chart, principal
from service.schemas.bodies import NewPatientSchema, PatientSchema
from service.schemas.queries import PatientQuery

blueprint = Noun("patients", __name__, url_prefix="/api/v1/patients", description="Whom records are about.")

_EXAMPLE = {"identifiers": [{"system": "https://clinic.example/patients", "value": "example"}]}


def told(patient: Patient) -> dict[str, Any]:
    """Return a patient as JSON."""
    identifiers = [{"system": system, "value": value} for system, value in patient.identifiers]
    return {"type": "Patient", "id": patient.id, "identifiers": identifiers}


@blueprint.route("")
class Patients(MethodView):
    @blueprint.arguments(PatientQuery, location="query")
    @blueprint.response(200, described.listing(PatientSchema))
    @blueprint.refuses()
    def get(self, query: dict[str, Any]) -> Response:
        """List patients, or find one by identifier"""
        identifier = query["identifier"] and access.split_identifier(query["identifier"])
        found = access.patients(None, identifier, query["limit"], query["after"])
        return page([told(patient) for patient in found.entries], found.next_after)

    @blueprint.arguments(NewPatientSchema, example=_EXAMPLE)
    @blueprint.response(201, PatientSchema, headers={"Location": described.CREATED["Location"]})
    @blueprint.refuses(409, 413, 415, 422)
    def post(self, body: dict[str, Any]) -> Response:
        """Register a patient; the same identifiers again give the same patient"""
        principal().require("Patient", "c")
        principal().require_everyone()
        identifiers = [(identifier["system"], identifier["value"]) for identifier in body["identifiers"]]
        patient = chart().register_patient(identifiers, principal().actor)
        return answer(told(patient), 201, {"Location": addresses.relative(f"/api/v1/patients/{patient.id}")})


@blueprint.route("/<fhir_id:patient_id>")
@blueprint.response(200, PatientSchema)
@blueprint.refuses(404)
def get_patient(patient_id: str) -> Response:
    """Read a patient"""
    return answer(told(access.patient(patient_id)))
