"""Measures large jobs: their time, pages of their rows, and later jobs once they are deleted."""

import os
import statistics
import time

from bench.processes import peak_memory, reset_peak_memory
from bench.report import costs, figure, heading, ratio
from bench.system import last_page
from rows import megabytes, valid_rows, write_upload

PAGE = 50  # rows


def large_job(system, factor, small_jobs):
    """Runs a job of `factor` times the rows of the small ones; returns it and its file."""
    upload = system.path(f"large-{factor}.csv")
    expected = write_upload(upload, factor * small_jobs[0].planted.rows, with_errors=True)
    size = megabytes(upload)
    job = system.run(upload, expected)
    heading(f"{expected.rows:,} rows, 5 % invalid, {size:,.0f} MB: {job.seconds:.2f} s")
    small = statistics.median(job.seconds for job in small_jobs)
    ratio(job.seconds / (factor * small), f"of {factor} times the job of {small_jobs[0].planted.rows:,} rows")
    costs([job])
    return job, upload


def ageing(system, first, upload, small_jobs, rounds):
    """Deletes a large job, vacuums and loads it again, `rounds` times. PostgreSQL must not have become slower."""
    system.delete(first)
    later = []
    for _ in range(rounds):
        system.sql("vacuum")
        later.append(system.run_and_delete(upload, first.planted).seconds)
    system.sql("vacuum")
    os.remove(upload)
    small = system.path("small.csv")
    expected = write_upload(small, small_jobs[0].planted.rows, with_errors=True)
    after = statistics.median(system.run_and_delete(small, expected).seconds for _ in range(rounds))
    before = statistics.median(job.seconds for job in small_jobs)
    heading(f"After load, delete and vacuum of {first.planted.rows:,} rows")
    loads = ", ".join(f"{seconds:.2f}" for seconds in later)
    ratio(statistics.median(later) / first.seconds, f"next loads, median / first ({loads} s, {first.seconds:.2f} s)")
    ratio(after / before, f"a job of {expected.rows:,} rows / one before all this ({after:.2f} s, {before:.2f} s)")


def pages(system, job):
    """Times pages of a job's rows by the API."""
    planted = job.planted
    heading(f"{PAGE} rows of {planted.rows:,}, by the API")
    for name, filter, count in [
        ("all", "all", planted.rows),
        ("valid", "valid", planted.valid),
        ("invalid", "invalid", planted.invalid),
        ("suspicious", "suspicious", planted.suspicious),
    ]:
        page, size = last_page(count, PAGE)
        queries = [f"filter={filter}&size={PAGE}&page={page}"] * 5
        figure(f"{milliseconds(system, job, queries, size):.1f} ms", f"the last page of {name} rows")
    last = planted.rows // 100 * 100 - 11  # a valid row, like every 100th row before it
    chosen = valid_rows([last - 100 * turn for turn in range(5)])
    queries = [f"size={PAGE}&q={row['transaction_id']}" for row in chosen]
    figure(f"{milliseconds(system, job, queries, 1):.1f} ms", "one transaction id")
    # A new text each time, because searches are cached.
    few = [row["description"].lower().replace(" ", "%20") for row in chosen]
    fiftieth = [f"fee%20{digit}" for digit in range(min(5, max(1, planted.rows // 100_000)))]
    fifth = ["subscription", "Subscription", "monthly", "Monthly", "MONTHLY"]
    for name, texts, page in [
        ("a text in one row of a million", few, 1),
        ("a text in every fiftieth row", fiftieth, 1),
        ("its next page", fiftieth, 2),
        ("a text in every fifth row", fifth, 1),
    ]:
        queries = [f"size={PAGE}&q={text}&page={page}" for text in texts]
        figure(f"{milliseconds(system, job, queries):.1f} ms", name)


def milliseconds(system, job, queries, size=None):
    """Returns the median time of the pages. Each must have rows, and exactly `size` of them if given."""
    times = []
    for query in queries:
        started = time.perf_counter()
        found = len(system.api.rows(job.id, query))
        times.append(1000 * (time.perf_counter() - started))
        if not found or size not in (None, found):
            raise SystemExit(f"{query} found {found} rows, expected {size or 'some'}")
    return statistics.median(times)


def upload_memory(system):
    """Measures how much an upload of a gigabyte adds to the server's memory."""
    upload, server = system.path("gigabyte.csv"), system.processes["server"]
    block = b"x" * (1 << 20)
    with open(upload, "wb") as file:
        for _ in range(1000):
            file.write(block)
    reset_peak_memory(server)
    before, started = peak_memory(server), time.perf_counter()
    system.api.upload(system.user_id, upload)
    seconds = time.perf_counter() - started
    heading(f"An upload of 1 GB: {seconds:.1f} s")
    figure(f"{peak_memory(server) - before:.0f} MB", f"more memory in the server than the {before:.0f} MB before")
    os.remove(upload)
    system.delete_all()
