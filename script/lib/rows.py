"""Files of transactions whose verdicts are known, from the program `testkit`, whose path is in the variable TESTKIT."""

import json
import os
import subprocess
from typing import NamedTuple


class Planted(NamedTuple):
    """The counts that a job must find in a file."""

    rows: int
    valid: int
    invalid: int
    suspicious: int
    invalid_every: int | None = None  # the numbers of invalid rows are multiples of it

    @property
    def invalid_rows(self):
        """Returns the numbers of the invalid rows."""
        return range(self.invalid_every, self.rows + 1, self.invalid_every)


def testkit(*arguments):
    """Returns what the program prints, which is JSON."""
    command = [os.environ["TESTKIT"], *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def planted(*arguments):
    printed = testkit(*arguments)
    return Planted(**{name: printed.get(name) for name in Planted._fields})


def write_upload(path, rows, with_errors=False):
    """Writes a file to upload and returns the planted counts."""
    return planted("transactions", path, "--rows", rows, *(["--errors"] if with_errors else []))


def write_table(path, rows, with_errors=False):
    """Writes the same rows with their verdicts, in the format of `\\copy`."""
    planted("transactions", path, "--table", "--rows", rows, *(["--errors"] if with_errors else []))


def write_equal_ids(path, size):
    """Writes a file of about `size` bytes in which all rows have the same id."""
    return planted("equal-ids", path, "--bytes", size)


def write_short_ids(path, size):
    """Writes a file of about `size` bytes, at most 103 MB, with a new id every seven bytes and nothing else."""
    return planted("short-ids", path, "--bytes", size)


def valid_rows(numbers):
    """Returns the transaction_id and the description of rows, which have no error, by their numbers."""
    return testkit("rows", *numbers)


def megabytes(path):
    return os.path.getsize(path) / 1e6
