"""`spark-submit jobs/practices_night.py ...`: the flags are those of `wardlake practices night`."""

import sys

from wardlake.cli import main

main(["practices", "night", *sys.argv[1:]])
