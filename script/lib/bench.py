"""Measures \\copy and a job on the same rows, in turn, and prints both with their ratio. See script/bench."""

import argparse
import datetime
import http.client
import json
import os
import statistics
import subprocess
import sys
import time

DESCRIPTIONS = ["Monthly subscription", "Service fee", "Product purchase", "Consulting, hours", "Refund of deposit"]
JOB_ROUND_LIMIT = 600  # seconds


def write_rows(rows, upload_path, table_path):
    """The rows as a user uploads them, and the same as the table `transactions` takes them."""
    first_day = datetime.date(2024, 1, 1)
    days = [(first_day + datetime.timedelta(days=day)).isoformat() for day in range(366)]
    with open(upload_path, "w", newline="") as upload, open(table_path, "w", newline="") as table:
        upload.write("transaction_id,amount,date,description\n")
        for row in range(1, rows + 1):
            cents = row * 7919 % 5_000_000  # up to 50000: valid and not suspicious
            fields = (
                f"TXN{row:07d},{cents // 100}.{cents % 100:02d},{days[row * 31 % 366]},"
                f'"{DESCRIPTIONS[row % 5]} {row % 1_000_000:06d}"'
            )
            upload.write(fields + "\n")
            table.write(f"0,{row},{fields},t,f,\n")


def run_sql(options, *commands):
    arguments = [options.psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={options.database}"]
    subprocess.run(
        arguments + [f"--command={command}" for command in commands],
        check=True,
        env={**os.environ, "PGOPTIONS": "--client-min-messages=warning"},
    )


def call(options, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(options.api, timeout=JOB_ROUND_LIMIT)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    if answer.status >= 400:
        sys.exit(f"{method} {path} answered {answer.status}: {text}")
    return json.loads(text)


def upload(options, user_id, path):
    boundary = "batchline-bench"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="bench.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()

    def parts():
        yield head
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                yield block
        yield tail

    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(head) + os.path.getsize(path) + len(tail)),
    }
    return call(options, "POST", f"/jobs?user_id={user_id}", parts(), headers)["id"]


def time_copy(options, table_path):
    run_sql(options, "drop table if exists copied", "create table copied (like transactions including all)", "checkpoint")
    begin = time.perf_counter()
    run_sql(options, f"\\copy copied from '{table_path}' with (format csv)")
    seconds = time.perf_counter() - begin
    run_sql(options, "drop table copied")
    return seconds


def time_job(options, user_id, upload_path):
    job_id = upload(options, user_id, upload_path)
    run_sql(options, "truncate transactions", "checkpoint")
    begin = time.perf_counter()
    call(options, "POST", f"/jobs/{job_id}/start")
    while True:
        job = call(options, "GET", f"/jobs/{job_id}")
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
    write_rows(options.rows, upload_path, table_path)
    size = os.path.getsize(upload_path)
    print(f"\n{options.rows:,} rows, {size / 1e6:.1f} MB, {size / options.rows:.0f} bytes each; {os.cpu_count()} cores", flush=True)

    person = json.dumps({"name": "Bench", "email": "bench@example.com"})
    user_id = call(options, "POST", "/users", person, {"Content-Type": "application/json"})["id"]
    copies, jobs = [], []
    for number in range(1, options.rounds + 1):
        copies.append(time_copy(options, table_path))
        jobs.append(time_job(options, user_id, upload_path))
        print(f"round {number}: \\copy {copies[-1]:.2f} s, job {jobs[-1]:.2f} s", flush=True)

    copy, job = statistics.median(copies), statistics.median(jobs)
    ratio = statistics.median(j / c for j, c in zip(jobs, copies))
    print(f"\n{'':14}{'median':>10}{'rows/s':>12}")
    print(f"{'psql copy':14}{copy:>8.2f} s{options.rows / copy:>12,.0f}")
    print(f"{'job':14}{job:>8.2f} s{options.rows / job:>12,.0f}")
    print(f"{'job / copy':14}{ratio:>8.2f}")


main()
