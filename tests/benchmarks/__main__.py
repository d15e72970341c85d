"""`make bench`: verifying, then delivering; `python -m tests.benchmarks parts` for one of them."""

import sys

from tests.benchmarks import deliver, parts, publish, verify

BENCHMARKS = {"verify": verify.main, "parts": parts.main, "deliver": deliver.main, "publish": publish.main}

for name in sys.argv[1:] or BENCHMARKS:
    BENCHMARKS[name]()
