"""`spark-submit jobs/snapshot_create.py ...`: copy a source into raw tables.

The flags are those of `wardlake snapshot create`.
"""

import sys

from wardlake.cli import main

main(["snapshot", "create", *sys.argv[1:]])
