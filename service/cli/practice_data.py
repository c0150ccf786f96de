"""What a practice server holds from the start."""

from collections.abc import Iterable

from service.cli import terminal
from service.cli.inputs import items
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Answered


def seed(base_url: str, files: Iterable[str]) -> bool:
    """Create the resources of the files on a server, each once; tell whether it took them all."""
    client = FHIRClient(base_url)
    took_all = True
    for item in items(files):
        answer = client.create(item.tree) if item.tree and "resourceType" in item.tree else None
        if not isinstance(answer, Answered):
            took_all = False
            terminal.say(f"{item.where}: not taken")
    return took_all
