"""Scopes: what each form grants, and what grants nothing."""

import pytest

from service.auth.scopes import Interaction, allows

INTERACTIONS: tuple[Interaction, ...] = ("c", "r", "u", "d", "s")


@pytest.mark.parametrize(
    ("scopes", "resource_type", "granted"),
    [
        ("system/Goal.cruds", "Goal", "cruds"),
        ("user/Goal.rs", "Goal", "rs"),
        ("user/Goal.cu", "Goal", "cu"),
        ("system/*.rs", "CarePlan", "rs"),
        ("system/Goal.read", "Goal", "rs"),
        ("system/Goal.write", "Goal", "cud"),
        ("system/*.*", "Goal", "cruds"),
        ("openid user/CarePlan.r user/Goal.s user/Goal.c", "Goal", "cs"),
        ("patient/Goal.rs", "Goal", "rs"),
        ("system/CarePlan.cruds", "Goal", ""),
        ("system/Goal.", "Goal", ""),
        ("system/Goal.sr", "Goal", ""),
        ("system/Goal.rs?status=active", "Goal", ""),
        ("system/Goalx.rs", "Goal", ""),
        ("Goal.rs", "Goal", ""),
        ("other/Goal.rs", "Goal", ""),
        ("mainstay/sync", "Goal", ""),
        ("system/Goal.rs\nsystem/Goal.c", "Goal", ""),
        ("", "Goal", ""),
    ],
)
def test_a_scope_grants_just_its_letters(scopes: str, resource_type: str, granted: str) -> None:
    assert (
        "".join(letter for letter in INTERACTIONS if allows(scopes, resource_type, letter, has_patient=True))
        == granted
    )


def test_a_scope_in_the_context_of_a_patient_grants_nothing_without_one() -> None:
    assert not allows("patient/*.cruds", "Goal", "r", has_patient=False)
