"""`spark-submit jobs/snapshot_verify.py ...`: recompute a snapshot's hashes.

The flags are those of `wardlake snapshot verify`.
"""

import sys

from wardlake.cli import main

main(["snapshot", "verify", *sys.argv[1:]])
