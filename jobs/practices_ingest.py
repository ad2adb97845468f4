"""`spark-submit jobs/practices_ingest.py ...`: the flags are those of `wardlake practices ingest`."""

import sys

from wardlake.cli import main

main(["practices", "ingest", *sys.argv[1:]])
