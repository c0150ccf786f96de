"""A holder of leases who died is told from one who lives."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from service.sync.lease_holder import LeaseHolder

FORK = multiprocessing.get_context("fork")


def test_who_lives_is_not_gone(tmp_path: Path) -> None:
    with LeaseHolder(tmp_path) as one, LeaseHolder(tmp_path) as other:
        assert not other.is_gone(one.owner)
        assert not one.is_gone(one.owner)


def test_who_was_killed_is_gone(tmp_path: Path) -> None:
    receiver, sender = FORK.Pipe()
    child = FORK.Process(target=hold, args=(tmp_path, sender))
    child.start()
    owner = receiver.recv()
    with LeaseHolder(tmp_path) as other:
        assert not other.is_gone(owner)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        assert other.is_gone(owner)
        other.forget(owner)
        assert not other.is_gone(owner)


def hold(folder: Path, sender: Connection) -> None:
    with LeaseHolder(folder) as lease_holder:
        sender.send(lease_holder.owner)
        signal.pause()


def test_of_another_machine_nothing_is_known(tmp_path: Path) -> None:
    with LeaseHolder(tmp_path) as one:
        name = one.owner.partition(":")[2]
        (tmp_path / "mainstay-left-behind.lease").touch()
        assert not one.is_gone(f"elsewhere:{name}")
        assert not one.is_gone("elsewhere:left-behind")


def test_who_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    with LeaseHolder(tmp_path):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
