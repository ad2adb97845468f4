"""`spark-submit jobs/practices_sample.py ...`: the flags are those of `wardlake practices sample`."""

import sys

from wardlake.cli import main

main(["practices", "sample", *sys.argv[1:]])
