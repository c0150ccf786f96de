"""The one who asks: actor of the history, scopes, and the patient to whom the token is confined."""

from dataclasses import dataclass

from fhir_mappings.errors import Finding
from service.auth.scopes import SYNC, Interaction, allows
from service.errors import Forbidden, NotFound
from service.record_types import BY_RESOURCE_TYPE, OF_PATIENT

_VERBS = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}


@dataclass(frozen=True)
class Principal:
    """scopes: as in the token; None where no authentication is configured, which allows all.

    patient: our id of the one patient whose records the token is for.
    """

    actor: str
    scopes: str | None = None
    patient: str | None = None

    def may(self, resource_type: str, interaction: Interaction) -> bool:
        """Tell whether the scopes allow the interaction with that type."""
        if self.scopes is None:
            return True
        # Records of no one in particular: a token for one patient may read them, not change them.
        is_shared = resource_type in BY_RESOURCE_TYPE and resource_type not in OF_PATIENT
        if self.patient is not None and is_shared and interaction not in "rs":
            return False
        return allows(self.scopes, resource_type, interaction, has_patient=self.patient is not None)

    def require(self, resource_type: str, interaction: Interaction) -> None:
        """Raise Forbidden unless the scopes allow the interaction with that type."""
        if not self.may(resource_type, interaction):
            raise Forbidden(
                [Finding("", f"the token's scopes do not allow to {_VERBS[interaction]} {resource_type}")]
            )

    def require_sync(self) -> None:
        """Raise Forbidden unless the token may see the synchronisation."""
        if self.scopes is not None and SYNC not in self.scopes.split(" "):
            raise Forbidden([Finding("", f"the token lacks the scope {SYNC}")])

    def require_all_patients(self) -> None:
        """Raise Forbidden for a token that is confined to one patient."""
        if self.patient is not None:
            raise Forbidden([Finding("", "the token is for one patient, and this concerns all")])

    def require_patient(self, patient: str | None) -> None:
        """Raise Forbidden if something is to be written for, or asked about, another patient."""
        if self.patient is not None and patient != self.patient:
            raise Forbidden([Finding("", "the token is for another patient")])

    def require_visible(self, patient: str | None) -> None:
        """Raise NotFound for another patient's record: that it exists is not told either."""
        if self.patient is not None and patient not in (None, self.patient):
            raise NotFound([Finding("", "there is no such record")])


#: Everyone who can reach a server without authentication; it listens on loopback only.
LOCAL = Principal("local")
