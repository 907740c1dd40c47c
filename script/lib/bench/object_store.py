"""Compares jobs with files in a remote object store and jobs with files on disk, in turn, and times pages of their
rows. Run by script/bench after the other measurements."""

import copy
import statistics

from bench.large import pages
from bench.report import costs, heading, median_ratio, ratio
from bench.system import System
from rows import megabytes, write_upload


def beside_disk(chosen):
    """`chosen` has the options of bench.__main__ and those that begin with `store_`."""
    disk = System(chosen)
    remote_options = copy.copy(chosen)
    for name in ("api", "database", "server", "worker"):
        setattr(remote_options, name, getattr(chosen, f"store_{name}"))
    remote = System(remote_options)
    # Not more: for each range, the store copies the whole file.
    rows = chosen.rows
    upload = disk.path("object-store.csv")
    expected = write_upload(upload, rows, with_errors=True)
    on_disk, in_store = [], []
    for _ in range(chosen.rounds):
        on_disk.append(disk.run_and_delete(upload, expected))
        in_store.append(remote.run(upload, expected))
    times = [[job.seconds for job in jobs] for jobs in (in_store, on_disk)]
    heading(
        f"{rows:,} rows, {megabytes(upload):,.0f} MB, in an object store that takes {chosen.store_latency} ms for a "
        f"response: {statistics.median(times[0]):.2f} s"
    )
    ratio(median_ratio(*times), f"of the same file on disk ({statistics.median(times[1]):.2f} s)")
    costs(in_store)
    pages(remote, in_store[-1])
