"""Measures jobs beside PostgreSQL's own \\copy of the same rows, in turn, and prints ratios. See script/bench."""

import argparse
import concurrent.futures
import os
import re
import statistics
import subprocess
import sys
import time

from rows import Api, write_upload

JOB_LIMIT = 600  # seconds

COLUMNS = "result_id, row_number, transaction_id, amount, date, description, is_valid, is_suspicious, errors"


class Bench:
    def __init__(self, options):
        self.options = options
        self.api = Api(options.api, JOB_LIMIT)
        self.user_id = self.api.create_user()

    def path(self, name):
        return os.path.join(self.options.directory, name)

    def sql(self, *commands):
        command = [self.options.psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={self.options.database}"]
        subprocess.run(
            command + [f"--command={command}" for command in commands],
            check=True,
            env={**os.environ, "PGOPTIONS": "--client-min-messages=warning"},
        )

    def finished(self, job_id, began):
        """The job once it is over, and the seconds since `began`."""
        while True:
            job = self.api.job(job_id)
            seconds = time.perf_counter() - began
            if job["status"] not in ("pending", "processing"):
                return job, seconds
            if seconds > JOB_LIMIT:
                sys.exit(f"the job was not done after {JOB_LIMIT} s: {job}")
            time.sleep(0.01)

    def job(self, path, rows, invalid):
        """Seconds from the request to start until the job is completed."""
        job_id = self.api.upload(self.user_id, path)
        self.sql("truncate transactions, job_chunks", "checkpoint")
        began = time.perf_counter()
        self.api.command(job_id, "start")
        job, seconds = self.finished(job_id, began)
        found = (job["status"], job["valid_records"], job["invalid_records"])
        if found != ("completed", rows - invalid, invalid):
            sys.exit(f"the job did not find what was planted: {job}")
        return seconds

    def copy(self, path, with_key):
        """Seconds of \\copy into a table like the job's, with a primary key besides if wanted."""
        key = ["alter table copied add primary key (result_id, row_number)"] if with_key else []
        self.sql("drop table if exists copied", "create table copied (like transactions including all)", *key, "checkpoint")
        began = time.perf_counter()
        self.sql(f"\\copy copied ({COLUMNS}) from '{path}' with (format csv)")
        seconds = time.perf_counter() - began
        self.sql("drop table copied")
        return seconds

    def beside_copy(self, name, with_errors):
        """A job beside \\copy of the very rows that it has stored."""
        rows = self.options.rows
        upload, table = self.path("upload.csv"), self.path("table.csv")
        invalid = write_upload(upload, rows, with_errors)
        self.job(upload, rows, invalid)
        self.sql(f"\\copy (select {COLUMNS} from transactions order by row_number) to '{table}' with (format csv)")
        print(f"\n{name}: {rows:,} rows, {os.path.getsize(upload) / 1e6:.0f} MB", flush=True)
        keyed, plain, jobs = [], [], []
        for _ in range(self.options.rounds):
            keyed.append(self.copy(table, with_key=True))
            plain.append(self.copy(table, with_key=False))
            jobs.append(self.job(upload, rows, invalid))
        for what, seconds in [("psql copy, with a key", keyed), ("psql copy, same table", plain), ("job", jobs)]:
            median = statistics.median(seconds)
            ratio = statistics.median(job / other for job, other in zip(jobs, seconds))
            print(f"  {what:24}{median:>8.2f} s{rows / median:>12,.0f} rows/s   the job takes {ratio:.2f} of it", flush=True)
        return statistics.median(jobs)

    def many_jobs(self, one_job):
        """Many small jobs started at once beside one with all of their rows."""
        rows = self.options.rows // 100
        upload = self.path("small.csv")
        write_upload(upload, rows)
        job_ids = [self.api.upload(self.user_id, upload) for _ in range(100)]
        self.sql("truncate transactions, job_chunks", "checkpoint")
        began = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda job_id: self.api.command(job_id, "start"), job_ids))
        jobs, seconds = zip(*(self.finished(job_id, began) for job_id in job_ids))
        slowest = max(job["processed_records"] / job["rows_per_second"] for job in jobs)
        print(
            f"\n100 jobs of {rows:,} rows at once: {max(seconds):.2f} s, {max(seconds) / one_job:.2f} of one job with all rows; "
            f"each is done {slowest:.2f} s after its start at the latest",
            flush=True,
        )

    def sample(self):
        """The smallest job, start to end."""
        upload = self.path("sample.csv")
        write_upload(upload, 4)
        seconds = []
        for _ in range(30):
            job_id = self.api.upload(self.user_id, upload)
            began = time.perf_counter()
            self.api.command(job_id, "start")
            seconds.append(self.finished(job_id, began)[1])
        sample = 1000 * statistics.median(seconds)
        # Nothing but Temporal: a workflow with as many steps, which do nothing.
        noop = float(subprocess.run([self.options.noop], check=True, stdout=subprocess.PIPE, text=True).stdout)
        print(f"\n4 rows: {sample:.0f} ms from the request to start to the end (median of 30)", flush=True)
        print(f"  {sample / noop:.2f} of a workflow with one local activity, as the job has, that does nothing, {noop:.0f} ms", flush=True)

    def long_job(self, one_job):
        """Ten times the rows: time, the worker's memory, and pages of rows."""
        rows = 10 * self.options.rows
        worker = self.options.worker
        one_peak = peak_memory(worker)
        forget_peak(worker)
        upload = self.path("long.csv")
        invalid = write_upload(upload, rows, with_errors=True)
        seconds = self.job(upload, rows, invalid)
        print(f"\n{rows:,} rows, 5 % invalid: {seconds:.2f} s, {seconds / (10 * one_job):.2f} of ten times the job above", flush=True)
        print(f"  the worker's memory at its peak: {peak_memory(worker)} MB, after the jobs above {one_peak} MB", flush=True)
        job_id = self.api.call("GET", f"/users/{self.user_id}/jobs")[0]["id"]
        time.sleep(10)  # two rounds of housekeeping, which brings the index up to date
        self.log_statements(True)
        turns = range(5)
        for name, query, values in [
            ("the last page", f"page={rows // 50}&size=50", turns),
            ("the last page of valid rows", f"page={(rows - invalid) // 50}&size=50&filter=valid", turns),
            ("the last page of invalid rows", f"page={invalid // 50}&size=50&filter=invalid", turns),
            ("one transaction id", f"size=50&q=TXN{rows - 1:08d}", turns),
            # Other texts each time: a search that was done before is remembered.
            ("a text in a few descriptions", "size=50&q=deposit%209999{}9", turns),
            ("a text in every fiftieth description", "size=50&q=fee%20{}", turns),
            ("its second page", "size=50&q=fee%20{}&page=2", turns),
            ("a text in every fifth description", "size=50&q={}", ["subscription", "Subscription", "monthly", "Monthly", "MONTHLY"]),
            ("a text in every id", "size=50&q={}", ["TXN", "XN", "txn", "xn", "Txn"]),
        ]:
            times, in_database = [], []
            for value in values:
                logged = os.path.getsize(self.options.postgres_log)
                began = time.perf_counter()
                found = self.api.call("GET", f"/jobs/{job_id}/transactions?{query.format(value)}")
                times.append(time.perf_counter() - began)
                if not found:
                    sys.exit(f"{name} is empty")
                in_database.append(self.statement_milliseconds(logged))
            print(
                f"  {name}: {1000 * statistics.median(times):.1f} ms by the API, "
                f"{statistics.median(in_database):.1f} ms of it in PostgreSQL",
                flush=True,
            )
        self.log_statements(False)

    def log_statements(self, wanted):
        self.sql(f"alter system set log_min_duration_statement = {0 if wanted else -1}", "do $$ begin perform pg_reload_conf(); end $$")
        time.sleep(1)  # each session hears of it with its next statement

    def statement_milliseconds(self, offset):
        """What the statements took that PostgreSQL has logged since its log had so many bytes."""
        with open(self.options.postgres_log) as log:
            log.seek(offset)
            return sum(float(found) for found in re.findall(r"duration: ([0-9.]+) ms", log.read()))

    def upload_memory(self):
        """What a long upload adds to the server's memory."""
        upload, server = self.path("gigabyte.csv"), self.options.server
        block = b"x" * (1 << 20)
        with open(upload, "wb") as file:
            for _ in range(1000):
                file.write(block)
        forget_peak(server)
        before = peak_memory(server)
        began = time.perf_counter()
        self.api.upload(self.user_id, upload)
        seconds = time.perf_counter() - began
        print(f"\nan upload of 1 GB: {seconds:.1f} s, {peak_memory(server) - before} MB above the {before} MB before", flush=True)
        os.remove(upload)


def peak_memory(pid):
    """MB that the process had resident at most."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))


def forget_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")  # https://www.kernel.org/doc/html/latest/filesystems/proc.html


def main():
    parser = argparse.ArgumentParser(prog="script/bench")
    parser.add_argument("--psql", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--api", required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--postgres-log", required=True)
    parser.add_argument("--noop", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", action="store_true", help="also ten times the rows, and an upload of a gigabyte")
    bench = Bench(parser.parse_args())

    print(f"{os.cpu_count()} cores", flush=True)
    one_job = bench.beside_copy("all valid", with_errors=False)
    one_job_with_errors = bench.beside_copy("5 % invalid", with_errors=True)
    bench.many_jobs(one_job)
    bench.sample()
    if bench.options.long:
        bench.long_job(one_job_with_errors)
        bench.upload_memory()


main()
