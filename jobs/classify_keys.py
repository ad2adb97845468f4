"""`spark-submit jobs/classify_keys.py ...`: propose foreign keys that nobody declared.

The flags are those of `wardlake classify keys`.
"""

import sys

from wardlake.cli import main

main(["classify", "keys", *sys.argv[1:]])
