"""`make bench`: both benchmarks, one after the other."""

from tests.benchmarks import deliver, verify

verify.main()
deliver.main()
