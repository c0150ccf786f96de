"""Who asks, what they may do, and to whose records they are confined."""

from service.auth.keys import KeySource
from service.auth.principal import LOCAL, Principal
from service.auth.tokens import TokenVerifier

__all__ = ["LOCAL", "KeySource", "Principal", "TokenVerifier"]
