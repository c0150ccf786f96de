"""Who asks, what they may do, and to whose records they are confined."""

from service.auth.principal import LOCAL, Principal
from service.auth.tokens import KeySource, TokenVerifier

__all__ = ["LOCAL", "KeySource", "Principal", "TokenVerifier"]
