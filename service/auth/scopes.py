"""What a scope allows: SMART App Launch 2 (``patient/Goal.rs``) and, as it maps them, 1 (``.read``).

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

import re
from typing import Literal

#: create, read (also versions and history of one), update (also withdraw), delete, search.
Interaction = Literal["c", "r", "u", "d", "s"]

#: See and drive the synchronisation, and manage connections.
SYNC = "mainstay/sync"

# A scope with a query (``?category=…``) grants less than its first half says, so it matches nothing here.
_GRANT = re.compile(r"(patient|user|system)/(\*|[A-Za-z]+)\.(read|write|\*|(?=.)c?r?u?d?s?)")
_VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}


def allows(scopes: str, resource_type: str, interaction: Interaction, *, has_patient: bool) -> bool:
    """Tell whether any scope of a token allows the interaction with the resource type.

    has_patient: the token names a patient; without one a ``patient/`` scope grants nothing.
    """
    for grant in map(_GRANT.fullmatch, scopes.split(" ")):
        if grant is None:
            continue
        context, type_, letters = grant.groups()
        if context == "patient" and not has_patient:
            continue
        if type_ in ("*", resource_type) and interaction in _VERSION_1.get(letters, letters):
            return True
    return False
