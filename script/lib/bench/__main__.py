"""Prints how fast jobs are, as ratios to other programs that load the same rows. See script/bench."""

import argparse
import os

from bench import jobs, large, object_store
from bench.system import System
from rows import write_equal_ids, write_short_ids

WORST_CASE_SIZE = 100_000_000  # bytes


def options():
    parser = argparse.ArgumentParser(prog="script/bench")
    for name in ("psql", "database", "api", "directory", "noop"):
        parser.add_argument(f"--{name}", required=True)
    for process in ("server", "worker", "postgres", "temporal"):
        parser.add_argument(f"--{process}", required=True, type=int, metavar="PID")
    for process in ("server", "worker"):
        parser.add_argument(f"--store-{process}", required=True, type=int, metavar="PID")
    for name in ("api", "database"):
        parser.add_argument(f"--store-{name}", required=True, help="of the Batchline whose files are in an object store")
    parser.add_argument("--store-latency", type=int, required=True, metavar="MS")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the jobs beside other programs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", action="store_true", help="also ten times the rows and an upload of a gigabyte")
    parser.add_argument("--huge", action="store_true", help="--long and a hundred times the rows (6 GB)")
    chosen = parser.parse_args()
    chosen.long |= chosen.huge
    return chosen


def main():
    chosen = options()
    rows, rounds = chosen.rows, chosen.rounds
    system = System(chosen)
    print(f"{os.cpu_count()} cores; medians of {rounds} rounds")
    jobs.beside_others(system, "all valid", rows, rounds, with_errors=False)
    million = jobs.beside_others(system, "5 % invalid", rows, rounds, with_errors=True)
    jobs.many_at_once(system, rows, rounds)
    jobs.four_rows(system, chosen.noop, rounds)
    jobs.stream(system)
    jobs.unusual_ids(system, "One id in all rows", write_equal_ids, WORST_CASE_SIZE)
    jobs.unusual_ids(system, "A new id every seven bytes", write_short_ids, WORST_CASE_SIZE)

    first, upload = large.large_job(system, 10 if chosen.long else 1, million)
    if not chosen.huge:
        large.pages(system, first)
    large.ageing(system, first, upload, million, rounds)
    if chosen.huge:
        huge, upload = large.large_job(system, 100, million)
        os.remove(upload)
        large.pages(system, huge)
        system.delete(huge)
    if chosen.long:
        large.upload_memory(system)
    object_store.beside_disk(chosen)


main()
