"""mainstay serve, worker, sandbox: what runs until it is told to stop."""

import signal
import threading
from types import FrameType

import click

from service import logs
from service.cli import terminal
from service.cli.exits import FOUND, end
from service.cli.opened import configured, opened
from service.cli.sync import needs_a_person
from service.cli.translate import FILE


@click.command()
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--threads", type=click.IntRange(1), default=8, show_default=True, help="Threads of each.")
def serve(workers: int, threads: int) -> None:
    """Serve the HTTP API, on MAINSTAY_HOST and MAINSTAY_PORT."""
    from service.app import create_app, prepared, require_safe_binding
    from service.http_server import Processes

    config = configured()
    try:
        require_safe_binding(config)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with opened():
        pass  # the schema is current, and the configured connection is declared
    logs.configure(config.log_level, config.log_format)
    Processes(lambda: prepared(create_app(config)), config, workers, threads).run()


@click.command()
@click.option("--once", is_flag=True, help="One round, then end.")
def worker(once: bool) -> None:
    """Keep FHIR servers in step, at an interval. SIGTERM lets it finish what it has in hand."""
    from service.sync.worker import Worker

    with opened() as components:
        config = components.config
        logs.configure(config.log_level, config.log_format)
        at_work = Worker(components.sync, config.sync_interval_seconds)
        if once:
            if needs_a_person(at_work.once()):
                end(FOUND)
            return
        at_work.run_forever(_stop_at_signals())


@click.command()
@click.argument("files", nargs=-1, type=FILE)
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0: a free one.")
def sandbox(files: tuple[str, ...], port: int) -> None:
    """Run a small FHIR server in memory, to practise against.

    FILE: resources that it holds from the start, as in examples/ehr.
    """
    from service.cli.practice_data import seed
    from service.sandbox.server import serve as serve_sandbox

    def ready(base_url: str) -> None:
        terminal.say(f"FHIR sandbox at {base_url} (in memory; Ctrl-C ends it)")
        # From a thread: the server answers only after this returned.
        threading.Thread(target=seed, args=(base_url, files), daemon=True).start()

    serve_sandbox(port=port, ready=ready)


def _stop_at_signals() -> threading.Event:
    stop = threading.Event()

    def asked(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    return stop
