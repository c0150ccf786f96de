"""A blueprint whose routes read exact JSON and document what they refuse."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from flask_smorest import Blueprint

from service.routes.parsing import ExactParser

V = TypeVar("V", bound=Callable[..., Any])

#: What any route that needs a token may answer: bad query, no token, not allowed, database away or full.
GUARDED = (400, 401, 403, 503, 507)
#: All refusals that any route documents.
REFUSALS = (*GUARDED, 404, 406, 409, 412, 413, 415, 422, 428)


class ApiBlueprint(Blueprint):
    """The routes of one noun."""

    ARGUMENTS_PARSER = ExactParser()

    if TYPE_CHECKING:
        # flask-smorest has no types; these are the decorators that we use.
        def route(self, rule: str, **options: Any) -> Callable[[V], V]: ...
        def arguments(self, schema: Any, **options: Any) -> Callable[[V], V]: ...

    # Our views return whole responses, so these only document.
    def response(self, status_code: int, schema: Any = None, **options: Any) -> Callable[[V], V]:
        return _only_noted(super().response(status_code, schema, **options))

    def alt_response(self, status_code: int, *args: Any, **options: Any) -> Callable[[V], V]:
        return _only_noted(super().alt_response(status_code, *args, **options))

    def doc(self, **described: Any) -> Callable[[V], V]:
        return _only_noted(super().doc(**described))

    def refuses(self, *statuses: int) -> Callable[[V], V]:
        """Document the refusals of a route, beside those that all guarded routes have."""

        def decorate(view: V) -> V:
            for status in (*GUARDED, *statuses):
                view = self.alt_response(status, f"Refused{status}")(view)
            return view

        return decorate


def _only_noted(decorate: Callable[[Any], Any]) -> Callable[[V], V]:
    """Keep what a decorator notes for the document, not the function it wraps around the view.

    A view that documents ten answers would be called through ten functions.
    """

    def noted(view: V) -> V:
        # Where flask-smorest keeps it; there is no other door.
        view._apidoc = decorate(view)._apidoc  # type: ignore[attr-defined]  # noqa: SLF001
        return view

    return noted


def refused(status: int) -> dict[str, Any]:
    """Return the documentation of a refusal: an OperationOutcome."""
    outcome = {"application/fhir+json": {"schema": {"$ref": "#/components/schemas/OperationOutcome"}}}
    return {"description": HTTPStatus(status).phrase, "content": outcome}
