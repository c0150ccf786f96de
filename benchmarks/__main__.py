"""``make bench``: prints each ratio; ``python -m benchmarks mapping`` one group of them."""

import sys
from importlib import import_module

GROUPS = ("leaves", "mapping", "push", "create", "idle")


def main(groups: list[str]) -> None:
    """Run the groups named, or all."""
    for group in groups or GROUPS:
        print(f"{group}:", flush=True)
        for line in import_module(f"benchmarks.{group}").run():
            print(f"  {line}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
