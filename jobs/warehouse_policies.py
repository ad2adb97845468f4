"""`spark-submit jobs/warehouse_policies.py ...`: the flags are those of `wardlake warehouse policies`."""

import sys

from wardlake.cli import main

main(["warehouse", "policies", *sys.argv[1:]])
