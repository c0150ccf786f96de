"""The Patients of a server, as the people who work there change them."""

from typing import Any

import requests

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Name
from tests.service.sync.office import Office

#: A bit more than a match is believed.
A_WHILE = 3601


class PatientsThere:
    """Acts on the Patients of an office's server; goes to the server directly."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._url = f"{office.base_url}/Patient"

    def add(self, *names: Name, **members: Any) -> str:
        """Register somebody; return their id."""
        tree = {"resourceType": "Patient", "identifier": _identifiers(names), **members}
        return str(self._office.post(tree)["id"])

    def names(self, server_id: str) -> list[Name]:
        return [(one["system"], one["value"]) for one in self.get(server_id).get("identifier", [])]

    def call(self, server_id: str, *names: Name) -> None:
        """Have a Patient carry these identifiers, and no others."""
        self.change(server_id, identifier=_identifiers(names) or None)

    def merge(self, old: str, into: str, *, carries: bool = True) -> None:
        """Merge a Patient away; carries: into one who has the identifiers from now on."""
        if carries:
            self.call(into, *dict.fromkeys((*self.names(into), *self.names(old))))
        link = {"other": {"reference": f"Patient/{into}"}, "type": "replaced-by"}
        self.change(old, active=False, link=[link])

    def part(self, old: str) -> None:
        """Undo a merge: the Patient is one of their own again, as they were."""
        self.change(old, active=True, link=None)

    def get(self, server_id: str) -> Tree:
        tree: Tree = exact_json.parse(requests.get(f"{self._url}/{server_id}", timeout=20).text)
        return tree

    def change(self, server_id: str, **members: Any) -> None:
        """Change elements of a Patient; None removes one."""
        changed = {**self.get(server_id), **members}
        kept = {name: value for name, value in changed.items() if value is not None}
        response = requests.put(f"{self._url}/{server_id}", json=kept, timeout=20)
        assert response.ok, response.text


def _identifiers(names: tuple[Name, ...]) -> list[Tree]:
    return [{"system": system, "value": value} for system, value in names]
