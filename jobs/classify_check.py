"""`spark-submit jobs/classify_check.py ...`: list the columns of a source that need a decision.

The flags are those of `wardlake classify check`.
"""

import sys

from wardlake.cli import main

main(["classify", "check", *sys.argv[1:]])
