"""What the clock promises."""

from __future__ import annotations

import time
from datetime import timedelta

from wardlake.adapters.system_clock import SystemClock


def test_it_tells_the_current_time_in_utc() -> None:
    before = time.time()
    now = SystemClock().now()
    assert now.utcoffset() == timedelta(0)
    assert before - 1 <= now.timestamp() <= time.time() + 1
