"""HTTP in and out: one blueprint per noun, thin views; ``fhir`` is the same records for FHIR clients."""

from service.routes import (
    connections,
    documents,
    fhir,
    operations,
    patients,
    questionnaires,
    synchronisation,
    translate,
)
from service.routes.blueprint import Noun
from service.routes.records import NOUNS, record_blueprint


def blueprints() -> list[Noun]:
    """Return all routes, in the order of the documentation."""
    records = [record_blueprint(noun, record_type) for noun, record_type in NOUNS.items()]
    return [
        patients.blueprint,
        *records,
        questionnaires.blueprint,
        translate.blueprint,
        synchronisation.blueprint,
        connections.blueprint,
        fhir.blueprint,
        operations.blueprint,
        documents.blueprint,
    ]
