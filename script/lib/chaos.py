"""The load and the judge of script/chaos: runs a job, waits for its progress, and counts what became of it.

    chaos.py generate FILE ROWS           writes a file
    chaos.py upload FILE                  uploads it, prints the id of its job
    chaos.py start JOB                    starts the job
    chaos.py advance JOB                  waits until more of it is done than at the last call, prints its status
    chaos.py hang                         begins an upload that doesn't go on, prints a line, and keeps it open
    chaos.py orphans                      waits until the storage has no file but those of jobs
    chaos.py judge JOB FILE               waits for its end and counts; fails unless everything is exact
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import time

from rows import Api, ApiError, write_upload

api = Api(os.environ["API_ADDR"], timeout=10)
directory = os.environ["CHAOS_DIRECTORY"]
PATIENCE = 180  # seconds without any progress


def eventually(what, ask):
    """Asks until there is an answer. A server that is away just now is no answer."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            answer = ask()
        except (OSError, http.client.HTTPException, ApiError):
            answer = None
        if answer is not None:
            return answer
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.02)


def is_over(job):
    return job["status"] in ("completed", "failed", "cancelled")


def generate(path, rows):
    invalid = write_upload(path, int(rows), with_errors=True)
    with open(path + ".json", "w") as file:
        json.dump({"rows": int(rows), "invalid": invalid}, file)


def upload(path):
    user_id = eventually("a user", api.create_user)
    print(eventually("the upload", lambda: api.upload(user_id, path)))


def start(job_id):
    eventually("the start", lambda: api.command(job_id, "start"))


def advance(job_id):
    memory = os.path.join(directory, f"advance-{job_id}")
    before = int(open(memory).read()) if os.path.exists(memory) else 0

    def further():
        job = api.job(job_id)
        return job if is_over(job) or job["batch_completed"] > before else None

    job = eventually("progress", further)
    with open(memory, "w") as file:
        file.write(str(job["batch_completed"]))
    print(job["status"])


def hang():
    user_id = api.create_user()
    with socket.create_connection(tuple(api.address.rsplit(":", 1))) as connection:
        head = (
            f"POST /jobs?user_id={user_id} HTTP/1.1\r\nHost: {api.address}\r\nContent-Length: 900000000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
            'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        )
        connection.sendall(head.encode() + b"x" * (12 << 20))
        eventually("the file to be begun", lambda: stored_files() or None)
        print("begun", flush=True)
        try:
            connection.recv(1)  # until the server is gone
        except ConnectionError:
            pass


def stored_files():
    uploads = os.path.join(directory, "uploads")
    return [name for name in os.listdir(uploads) if "#" in name or name.endswith(".csv")]


def orphans():
    eventually("the file of a broken upload to be removed",
               lambda: True if query("select count(*) from jobs") == [len(stored_files())] else None)
    print("  nothing is left of the upload that broke off")


def query(sql):
    command = [os.environ["CHAOS_PSQL"], "--no-psqlrc", "--quiet", "--no-align", "--tuples-only"]
    text = subprocess.run([*command, f"--dbname={os.environ['DATABASE_URL']}", f"--command={sql}"],
                          check=True, capture_output=True, text=True).stdout
    return [int(value) for value in text.strip().split("|")]


def judge(job_id, path):
    with open(path + ".json") as file:
        planted = json.load(file)

    def end():
        job = api.job(job_id)
        return job if is_over(job) else None

    began = time.monotonic()
    job = eventually("the end of the job", end)
    took = time.monotonic() - began
    rows, invalid = planted["rows"], planted["invalid"]
    result = f"result_id = (select result_id from jobs where id = {int(job_id)})"
    expectations = {
        "the job": ([job[name] for name in ("total_records", "processed_records", "valid_records", "invalid_records")],
                    [rows, rows, rows - invalid, invalid]),
        "the rows": (query("select count(*), count(distinct row_number), min(row_number), max(row_number), "
                           f"count(*) filter (where not is_valid) from transactions where {result}"),
                     [rows, rows, 1, rows, invalid]),
        "the ledger": (query("select sum(rows), sum(valid_records), sum(invalid_records), count(*) - count(committed_at) "
                             f"from job_chunks where {result}"),
                       [rows, rows - invalid, invalid, 0]),
    }
    if job["status"] != "completed":
        sys.exit(f"the job is {job['status']}: {job['error']}")
    for what, (found, expected) in expectations.items():
        if found != expected:
            sys.exit(f"{what}: found {found}, expected {expected}")
    print(f"exact: {rows:,} rows, each with one verdict, {took:.1f} s after the last fault")


def main():
    command, *arguments = sys.argv[1:]
    {"generate": generate, "upload": upload, "start": start, "advance": advance,
     "hang": hang, "orphans": orphans, "judge": judge}[command](*arguments)


main()
