"""A request on its way in a thread of its own."""

import threading

import pytest

from service.fhir_client.outcomes import Answered
from service.sync.push.in_flight import InFlight


def test_the_caller_goes_on_while_the_request_is_on_its_way() -> None:
    arrived = threading.Event()

    def ask() -> Answered:
        assert arrived.wait(10)
        return Answered(200)

    flight = InFlight(ask)
    arrived.set()
    assert flight.result() == Answered(200)


def test_what_asking_raises_reaches_who_waits() -> None:
    def ask() -> Answered:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        InFlight(ask).result()
