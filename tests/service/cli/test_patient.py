"""What a person is told at the command line about who is who."""

from pathlib import Path

from service.chart import Chart, PatientRegister
from service.wiring import utc_now
from tests import builders
from tests.databases import opened
from tests.service.cli.running import mainstay


def test_an_unmerge_names_in_one_line_what_was_edited_meanwhile(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mainstay.db'}"
    env = {"MAINSTAY_DATABASE_URL": url}
    with opened(url) as database:
        database.upgrade()
        chart, register = Chart(database, utc_now), PatientRegister(database, utc_now)
        ann, bob = (chart.register_patient([(builders.CLINIC, one)], "jo").id for one in ("a", "b"))
        goal = chart.create(builders.goal(ann), "jo").id

        register.merge(ann, bob, "jo")
        untouched = mainstay("patient", "unmerge", ann, env=env)
        assert (untouched.code, untouched.err) == (0, "")

        register.merge(ann, bob, "jo")
        chart.replace(goal, {**builders.goal(bob, id=goal), "description": {"text": "Swim"}}, "jo")
        parted = mainstay("patient", "unmerge", ann, env=env)

    assert parted.code == 0
    assert parted.err.splitlines() == [
        f"Look at what was edited meanwhile: {goal}. What was written since went along with the record, "
        f"and a reference that was moved still names Patient/{bob}."
    ]
    (newest, *_) = mainstay("patient", "history", bob, "--json", env=env).lines
    assert newest["detail"]["edited"] == [goal]
