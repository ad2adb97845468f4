"""`spark-submit jobs/practices_work.py ...`: the flags are those of `wardlake practices work`."""

import sys

from wardlake.cli import main

main(["practices", "work", *sys.argv[1:]])
