"""Compares jobs of a million rows with other programs, and measures small jobs: at once, alone and in a stream."""

import concurrent.futures
import os
import statistics
import subprocess
import sys
import time

from api import Api
from bench.baselines import duckdb_load, psql_copy
from bench.report import costs, figure, heading, median_ratio, ratio
from bench.system import expect_planted, wait_until
from rows import megabytes, write_table, write_upload

CLIENTS = 16
STREAM_SECONDS = 10
STREAM_ROWS = 100
SAMPLES = 30


def beside_others(system, name, rows, rounds, with_errors):
    """Compares jobs with psql and DuckDB, in turn, and returns the jobs."""
    upload, table = system.path("upload.csv"), system.path("table.csv")
    expected = write_upload(upload, rows, with_errors)
    write_table(table, rows, with_errors)
    copies, loads, jobs = [], [], []
    system.run_and_delete(upload, expected)  # warms up
    for _ in range(rounds):
        copies.append(psql_copy(system, table))
        loads.append(duckdb_load(system, upload, expected))
        jobs.append(system.run_and_delete(upload, expected))
    seconds = [job.seconds for job in jobs]
    median = statistics.median(seconds)
    heading(f"{rows:,} rows, {name}, {megabytes(upload):.0f} MB: {median:.2f} s, {rows / median:,.0f} rows/s")
    copy, load = statistics.median(copies), statistics.median(loads)
    ratio(median_ratio(seconds, copies), f"of psql \\copy of the rows into a table with a primary key ({copy:.2f} s)")
    ratio(median_ratio(seconds, loads), f"of DuckDB on {os.cpu_count()} threads ({load:.2f} s)")
    costs(jobs)
    os.remove(upload)
    os.remove(table)
    return jobs


def many_at_once(system, rows, rounds):
    """Compares 100 jobs that are started at once with one job of the same number of rows, in turn."""
    one, hundredth = system.path("one.csv"), system.path("hundredth.csv")
    expected, each = write_upload(one, rows), write_upload(hundredth, rows // 100)
    singles, crowds, slowest = [], [], []
    for _ in range(rounds):
        singles.append(system.run_and_delete(one, expected).seconds)
        job_ids = [system.api.upload(system.user_id, hundredth) for _ in range(100)]
        system.sql("checkpoint")
        started = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda job_id: system.api.command(job_id, "start"), job_ids))
        jobs, seconds = zip(*(system.finished(job_id, started) for job_id in job_ids))
        for job in jobs:
            expect_planted(job, each)
        crowds.append(max(seconds))
        slowest.append(max(job["processed_records"] / job["rows_per_second"] for job in jobs))
        system.delete_all()
    heading(f"100 jobs of {rows // 100:,} rows at once: {statistics.median(crowds):.2f} s")
    ratio(median_ratio(crowds, singles), f"of one job with all of the rows ({statistics.median(singles):.2f} s)")
    figure(f"{statistics.median(slowest):.2f} s", "from start to end of the slowest of them")


def four_rows(system, noop, rounds):
    """Compares the smallest job with a workflow that does nothing, in turn."""
    upload = system.path("four.csv")
    write_upload(upload, 4)
    samples, noops = [], []
    for _ in range(rounds):
        seconds = []
        for _ in range(SAMPLES):
            job_id = system.api.upload(system.user_id, upload)
            started = time.perf_counter()
            system.api.command(job_id, "start")
            seconds.append(system.finished(job_id, started, poll=0.002)[1])
        samples.append(1000 * statistics.median(seconds))
        noops.append(float(subprocess.run([noop], check=True, stdout=subprocess.PIPE, text=True).stdout))
    system.delete_all()
    heading(f"4 rows: {statistics.median(samples):.0f} ms from the request to start until the job is completed")
    noop_ms = statistics.median(noops)
    ratio(median_ratio(samples, noops), f"of a workflow with one local activity that does nothing ({noop_ms:.0f} ms)")


def stream(system):
    """Measures the throughput of small files: each client uploads and starts one after the other."""
    upload = system.path("stream.csv")
    expected = write_upload(upload, STREAM_ROWS)
    before, own_before = system.cpu(), time.process_time()
    started = time.perf_counter()

    def client(_):
        api, times = Api(system.api.address, keep_alive=True), []
        while (began := time.perf_counter()) < started + STREAM_SECONDS:
            job_id = api.upload(system.user_id, upload)
            uploaded = time.perf_counter()
            api.command(job_id, "start")
            times.append((uploaded - began, time.perf_counter() - uploaded))
        return times

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        times = [pair for pairs in pool.map(client, range(CLIENTS)) for pair in pairs]
    count = len(times)
    left = stream_jobs(system, "status in ('pending', 'processing')")
    wait_until("all jobs are over", lambda: stream_jobs(system, "status in ('pending', 'processing')") == 0)
    seconds = time.perf_counter() - started
    cpu = {name: after - before[name] for name, after in system.cpu().items()}
    cpu["the clients"] = time.process_time() - own_before
    if stream_jobs(system, f"status = 'completed' and valid_records = {expected.rows}") != count:
        sys.exit("not every job of the stream is completed with every row valid")
    system.delete_all()
    heading(f"{CLIENTS} clients that upload and start files of {STREAM_ROWS} rows, for {STREAM_SECONDS} s")
    figure(f"{count / seconds:.0f} jobs/s", f"completed; {left} of {count} were left when the clients ended")
    for name, waits in zip(("an upload", "a start"), zip(*times)):
        figure(f"{1000 * statistics.median(waits):.0f} ms", f"until {name} is answered")
    ratio(sum(cpu.values()) / seconds, f"of {os.cpu_count()} cores in use; where cores are idle, the limit is waiting")
    for name, used in sorted(cpu.items(), key=lambda item: -item[1]):
        figure(f"{1000 * used / count:.2f} ms", f"of CPU per job in {name}")


def stream_jobs(system, condition):
    return int(*system.sql(f"select count(*) from jobs where user_id = {system.user_id} and {condition}"))


def unusual_ids(system, name, write, size):
    """Measures a file whose ids are a worst case for finding repeated ones."""
    upload = system.path("ids.csv")
    expected = write(upload, size)
    job = system.run_and_delete(upload, expected)
    heading(f"{name}: {expected.rows:,} rows, {megabytes(upload):.0f} MB: {job.seconds:.2f} s")
    costs([job])
    os.remove(upload)
