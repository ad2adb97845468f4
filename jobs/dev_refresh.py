"""`spark-submit jobs/dev_refresh.py ...`: snapshot a source, de-identify it, scan it, publish it.

The flags are those of `wardlake dev refresh`.
"""

import sys

from wardlake.cli import main

main(["dev", "refresh", *sys.argv[1:]])
