"""`spark-submit jobs/retention_apply.py ...`: remove what is past its time.

The flags are those of `wardlake retention apply`.
"""

import sys

from wardlake.cli import main

main(["retention", "apply", *sys.argv[1:]])
