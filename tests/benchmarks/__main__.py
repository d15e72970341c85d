"""`make bench`: everything; `python -m tests.benchmarks parts` for one of them."""

import sys

from tests.benchmarks import (
    claims,
    deliver,
    delivery_parts,
    fairness,
    latency,
    parts,
    publish,
    verify,
)

BENCHMARKS = {
    "verify": verify.main,
    "parts": parts.main,
    "deliver": deliver.main,
    "delivery": delivery_parts.main,
    "publish": publish.main,
    "latency": latency.main,
    "fairness": fairness.main,
    "claims": claims.main,
}

for name in sys.argv[1:] or BENCHMARKS:
    BENCHMARKS[name]()
