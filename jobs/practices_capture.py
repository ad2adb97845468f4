"""`spark-submit jobs/practices_capture.py ...`: the flags are those of `wardlake practices capture`."""

import sys

from wardlake.cli import main

main(["practices", "capture", *sys.argv[1:]])
