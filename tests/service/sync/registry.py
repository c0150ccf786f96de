"""A double of a server's register of Patients: what it holds, how it misbehaves, and what it showed."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from flask import Request, Response

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree

SYSTEM = "urn:test:numbers"


class Sight(StrEnum):
    """What reading one Patient brings where it brings none."""

    GONE = "gone"
    BLOCKED = "blocked"


@dataclass
class Person:
    """A Patient there. into: who took their place. turned_to: whom who asks for them is sent to."""

    names: set[str]
    is_active: bool = True
    into: str | None = None
    turned_to: str | None = None
    is_gone: bool = False
    is_hidden: bool = False
    is_forbidden: bool = False
    fails: bool = False


@dataclass
class Registry:
    """Answers for Patients in the place of a server. is_searchable: whether searches are answered at all."""

    people: dict[str, Person]
    is_searchable: bool = True
    #: Whom it has shown, and what was looked for, since a test last forgot.
    shown: set[str] = field(default_factory=set)
    sought: set[str] = field(default_factory=set)

    def forget(self) -> None:
        self.shown.clear()
        self.sought.clear()

    def sight(self, server_id: str) -> Person | str | Sight:
        """Return the Patient, the id of another one to whom it leads, or why neither."""
        person = self.people[server_id]
        if person.is_forbidden or person.fails:
            return Sight.BLOCKED
        if person.is_gone:
            return Sight.GONE
        return person.turned_to or person

    def hits(self, names: set[str]) -> list[str]:
        """Return whom a search for numbers finds: of those who would be shown, who is not hidden from it."""
        return [
            server_id
            for server_id, one in self.people.items()
            if one.names & names and not one.is_hidden and isinstance(self.sight(server_id), Person)
        ]

    def answer(self, request: Request) -> Response | None:
        """Answer what is about Patients; None for anything else."""
        path = request.path.removeprefix("/fhir").strip("/")
        if request.method == "GET" and path == "Patient":
            return self._search(request.args["identifier"])
        if request.method == "GET" and path.startswith("Patient/"):
            status, headers, body = self._read(path.partition("/")[2])
            return _response(body, status, headers)
        if request.method == "POST" and not path:
            return self._batch(exact_json.parse(request.get_data()))
        return None

    def _search(self, tokens: str) -> Response:
        names = {token.partition("|")[2] for token in tokens.split(",")}
        if not self.is_searchable:
            return Response(status=500)
        self.sought |= names
        found = self.hits(names)
        self.shown |= set(found)
        entries = [{"resource": self._body(one), "search": {"mode": "match"}} for one in found]
        return _response({"resourceType": "Bundle", "type": "searchset", "entry": entries})

    def _read(self, server_id: str) -> tuple[int, dict[str, str], Tree | None]:
        sight = self.sight(server_id)
        if isinstance(sight, Person):
            self.shown.add(server_id)
            return 200, {}, self._body(server_id)
        if sight is Sight.GONE:
            return 410, {}, None
        if sight is Sight.BLOCKED:
            return (403 if self.people[server_id].is_forbidden else 500), {}, None
        return 301, {"Location": f"/fhir/Patient/{sight}"}, None

    def _batch(self, bundle: Tree) -> Response | None:
        urls = [entry["request"]["url"] for entry in bundle.get("entry", []) if "resource" not in entry]
        ids = [match[1] for url in urls if (match := re.fullmatch(r"Patient/(\w+)", url))]
        if not ids:
            return None
        entries = []
        for status, headers, body in map(self._read, ids):
            response = {"status": str(status)}
            response |= {"location": headers["Location"]} if headers else {}
            entries.append({"response": response, **({"resource": body} if body else {})})
        return _response({"resourceType": "Bundle", "type": "batch-response", "entry": entries})

    def _body(self, server_id: str) -> Tree:
        person = self.people[server_id]
        link = {"type": "replaced-by", "other": {"reference": f"Patient/{person.into}"}}
        return {
            "resourceType": "Patient",
            "id": server_id,
            "identifier": [{"system": SYSTEM, "value": name} for name in sorted(person.names)],
            "active": person.is_active,
            **({"link": [link]} if person.into else {}),
        }


def _response(body: Tree | None, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = exact_json.dump(body) if body else ""
    return Response(text, status, headers, content_type="application/fhir+json")
