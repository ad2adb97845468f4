"""`spark-submit jobs/practices_marts.py ...`: the flags are those of `wardlake practices marts`."""

import sys

from wardlake.cli import main

main(["practices", "marts", *sys.argv[1:]])
