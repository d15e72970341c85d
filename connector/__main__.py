"""`python -m connector` is `keyhook`."""

from connector.cli import main

main()
