"""Measures \\copy and a job on the same rows, in turn, and prints both with their ratio. See script/bench."""

import argparse
import os
import statistics
import subprocess
import sys
import time

from rows import Api, valid_fields, write_upload

JOB_ROUND_LIMIT = 600  # seconds


def write_table(rows, path):
    """The rows of the upload as the table `transactions` takes them."""
    with open(path, "w", newline="") as table:
        for row in range(1, rows + 1):
            table.write(f"0,{row},{','.join(valid_fields(row))},t,f,\n")


def run_sql(options, *commands):
    arguments = [options.psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={options.database}"]
    subprocess.run(
        arguments + [f"--command={command}" for command in commands],
        check=True,
        env={**os.environ, "PGOPTIONS": "--client-min-messages=warning"},
    )


def time_copy(options, table_path, with_key):
    """Into a table with the same columns and indexes as the job's, and with a primary key if wanted."""
    key = ["alter table copied add primary key (result_id, row_number)"] if with_key else []
    run_sql(options, "drop table if exists copied", "create table copied (like transactions including all)", *key, "checkpoint")
    begin = time.perf_counter()
    run_sql(options, f"\\copy copied from '{table_path}' with (format csv)")
    seconds = time.perf_counter() - begin
    run_sql(options, "drop table copied")
    return seconds


def time_job(options, user_id, upload_path):
    job_id = options.api.upload(user_id, upload_path)
    run_sql(options, "truncate transactions", "checkpoint")
    begin = time.perf_counter()
    options.api.command(job_id, "start")
    while True:
        job = options.api.job(job_id)
        seconds = time.perf_counter() - begin
        if job["status"] in ("completed", "failed"):
            break
        if seconds > JOB_ROUND_LIMIT:
            sys.exit(f"the job was not done after {JOB_ROUND_LIMIT} s: {job}")
        time.sleep(0.02)
    if (job["status"], job["valid_records"], job["suspicious_records"]) != ("completed", options.rows, 0):
        sys.exit(f"the job did not find every row valid: {job}")
    return seconds


def main():
    parser = argparse.ArgumentParser(prog="script/bench")
    parser.add_argument("--psql", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--api", required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    upload_path = os.path.join(options.directory, "upload.csv")
    table_path = os.path.join(options.directory, "table.csv")
    write_upload(upload_path, options.rows)
    write_table(options.rows, table_path)
    size = os.path.getsize(upload_path)
    print(f"\n{options.rows:,} rows, {size / 1e6:.1f} MB, {size / options.rows:.0f} bytes each; {os.cpu_count()} cores", flush=True)

    options.api = Api(options.api, JOB_ROUND_LIMIT)
    user_id = options.api.create_user()
    keyed, plain, jobs = [], [], []
    for number in range(1, options.rounds + 1):
        keyed.append(time_copy(options, table_path, with_key=True))
        plain.append(time_copy(options, table_path, with_key=False))
        jobs.append(time_job(options, user_id, upload_path))
        print(
            f"round {number}: \\copy with a key {keyed[-1]:.2f} s, without {plain[-1]:.2f} s, job {jobs[-1]:.2f} s",
            flush=True,
        )

    print(f"\n{'':24}{'median':>10}{'rows/s':>12}{'job is':>8}")
    for name, seconds in [("psql copy, with a key", keyed), ("psql copy, same table", plain), ("job", jobs)]:
        median = statistics.median(seconds)
        ratio = statistics.median(j / s for j, s in zip(jobs, seconds))
        print(f"{name:24}{median:>8.2f} s{options.rows / median:>12,.0f}{ratio:>7.2f} ×")


main()
