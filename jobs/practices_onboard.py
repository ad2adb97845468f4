"""`spark-submit jobs/practices_onboard.py ...`: the flags are those of `wardlake practices onboard`."""

import sys

from wardlake.cli import main

main(["practices", "onboard", *sys.argv[1:]])
