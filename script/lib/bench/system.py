"""The measured Batchline: its API, its database, its processes, and what a job costs them."""

import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from api import Api
from bench.processes import cpu_seconds, peak_memory, reset_peak_memory
from rows import Planted

JOB_LIMIT = 1800  # seconds
PATIENCE = 600  # seconds


@dataclass
class Job:
    """A completed job and its costs."""

    id: int
    planted: Planted
    seconds: float  # from the start request to completion
    worker_peak: float  # MB
    disk: int  # growth of PostgreSQL's files in bytes
    wal: int  # bytes
    cpu: dict  # seconds by process


class System:
    def __init__(self, options):
        self.directory = options.directory
        self.psql = [options.psql, "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]
        self.psql.append(f"--dbname={options.database}")
        self.api = Api(options.api)
        self.user_id = self.api.create_user()
        self.worker = options.worker
        self.processes = {
            "server": options.server,
            "worker": options.worker,
            "PostgreSQL": options.postgres,
            "Temporal": options.temporal,
        }

    def path(self, name):
        return os.path.join(self.directory, name)

    def sql(self, *commands):
        """Runs each command in its own transaction and returns the values of all rows as a flat list."""
        environment = {**os.environ, "PGOPTIONS": "--client-min-messages=warning"}
        psql = [*self.psql, "--field-separator=\n", *(f"--command={command}" for command in commands)]
        return subprocess.run(psql, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout.split()

    def cpu(self):
        return {name: cpu_seconds(pid) for name, pid in self.processes.items()}

    def finished(self, job_id, started, poll=0.01):
        """Waits until the job is over. Returns it with the seconds since `started`."""
        while True:
            job = self.api.job(job_id)
            seconds = time.perf_counter() - started
            if job["status"] not in ("pending", "processing"):
                return job, seconds
            if seconds > JOB_LIMIT:
                sys.exit(f"the job was not over after {JOB_LIMIT} s: {job}")
            time.sleep(poll)

    def run(self, path, planted):
        """Uploads a file, runs its job and returns the job with its costs."""
        job_id = self.api.upload(self.user_id, path)
        self.sql("checkpoint")
        reset_peak_memory(self.worker)
        disk, wal = self.database_size()
        before = self.cpu()
        started = time.perf_counter()
        self.api.command(job_id, "start")
        job, seconds = self.finished(job_id, started)
        cpu = {name: after - before[name] for name, after in self.cpu().items()}
        new_disk, new_wal = self.database_size()
        expect_planted(job, planted)
        return Job(job_id, planted, seconds, peak_memory(self.worker), new_disk - disk, new_wal - wal, cpu)

    def run_and_delete(self, path, planted):
        job = self.run(path, planted)
        self.delete(job)
        return job

    def database_size(self):
        """Returns the size of the database's files and of the WAL written so far, in bytes."""
        values = self.sql("select pg_database_size(current_database()), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        return tuple(map(int, values))

    def delete(self, job):
        self.api.call("DELETE", f"/jobs/{job.id}")
        self.wait_until_removed()

    def delete_all(self):
        """Deletes the user with all jobs and creates another user."""
        self.api.call("DELETE", f"/users/{self.user_id}")
        self.wait_until_removed()
        self.user_id = self.api.create_user()

    def wait_until_removed(self):
        """Waits until the ledger has no chunk and the storage no file."""

        def nothing_is_left():
            files = [name for name in os.listdir(self.path("uploads")) if ".csv" in name]
            return not files and self.sql("select count(*) from job_chunks") == ["0"]

        wait_until("what belongs to deleted jobs is removed", nothing_is_left)


def wait_until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"waited {PATIENCE} s in vain until {what}")
        time.sleep(0.05)


def expect_planted(job, planted):
    names = ("status", "total_records", "valid_records", "invalid_records", "suspicious_records")
    expected = ("completed", planted.rows, planted.valid, planted.invalid, planted.suspicious)
    if tuple(job[name] for name in names) != expected:
        sys.exit(f"expected {dict(zip(names, expected))}, found {job}")


def last_page(count, size):
    """Returns the number of the last page, counted from 1, and its number of rows."""
    pages = max(1, math.ceil(count / size))
    return pages, count - (pages - 1) * size
