"""`spark-submit jobs/dev_verify.py ...`: scan a published dataset again.

The flags are those of `wardlake dev verify`.
"""

import sys

from wardlake.cli import main

main(["dev", "verify", *sys.argv[1:]])
