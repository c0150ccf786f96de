"""python -m service.cli is the command mainstay."""

from service.cli import main

main(prog_name="mainstay")
