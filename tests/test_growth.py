"""The measure of growth can tell what is linear from what is not."""

from collections.abc import Callable

from tests.growth import growths

Act = Callable[[], object]


def a_square(size: int) -> Act:
    return lambda: [0 for _ in range(size) for _ in range(size)]


def a_line(size: int) -> Act:
    return lambda: [0 for _ in range(1000 * size)]


def an_explosion(size: int) -> Act:
    return lambda: sum(0 for _ in range(2**size))


def test_a_square_is_told_from_a_line_and_an_explosion_is_stopped() -> None:
    told = growths([(a_square, 500), (a_line, 500), (an_explosion, 10)])
    assert [growth.is_linear for growth in told.values()] == [False, True, False]
    assert told["an_explosion"].large == float("inf")
