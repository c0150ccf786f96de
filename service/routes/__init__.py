"""HTTP in and out: one blueprint per noun, thin views; ``fhir`` is the same records for FHIR clients."""

from service.record_types import IN_OUR_WORDS
from service.routes.api.connections import blueprint as connections
from service.routes.api.patients import blueprint as patients
from service.routes.api.questionnaires import blueprint as questionnaires
from service.routes.api.records import record_blueprint
from service.routes.api.sync import blueprint as synchronisation
from service.routes.api.translate import blueprint as translate
from service.routes.blueprint import ApiBlueprint
from service.routes.documents import blueprint as documents
from service.routes.fhir.views import blueprint as fhir
from service.routes.operations import blueprint as operations


def blueprints() -> list[ApiBlueprint]:
    """Return all routes, in the order of the documentation."""
    records = [record_blueprint(kind) for kind in IN_OUR_WORDS]
    acts = [translate, synchronisation, connections]
    return [patients, *records, questionnaires, *acts, fhir, operations, documents]
