"""Python imports this by itself when it starts, in every process that has this on its path."""

from tests.support.issued import overhear_into_file

overhear_into_file()
