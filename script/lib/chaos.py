"""The load and the judge of script/chaos: runs jobs, waits for their progress, and counts what became of them.

    chaos.py generate FILE ROWS           writes a file
    chaos.py upload FILE COUNT            uploads it so many times, prints the ids of the jobs
    chaos.py start JOB...                 starts the jobs at once
    chaos.py advance JOB...               waits until more of them is done than at the last call, prints whether they are
                                          over or under_way
    chaos.py hang                         begins an upload that doesn't go on, prints a line, and keeps it open
    chaos.py orphans                      waits until the storage has no file but those of jobs
    chaos.py judge FILE JOB...            waits for their end and counts; fails unless everything is exact
"""

import concurrent.futures
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


def upload(path, count):
    user_id = eventually("a user", api.create_user)
    print(*(eventually("the upload", lambda: api.upload(user_id, path)) for _ in range(int(count))))


def start(*job_ids):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda job_id: eventually("the start", lambda: api.command(job_id, "start")), job_ids))


def advance(*job_ids):
    memory = os.path.join(directory, f"advance-{job_ids[0]}")
    before = int(open(memory).read()) if os.path.exists(memory) else 0

    def further():
        jobs = [api.job(job_id) for job_id in job_ids]
        done, over = sum(job["batch_completed"] for job in jobs), all(map(is_over, jobs))
        return (done, over) if over or done > before else None

    done, over = eventually("progress", further)
    with open(memory, "w") as file:
        file.write(str(done))
    print("over" if over else "under_way")


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


def judge(path, *job_ids):
    with open(path + ".json") as file:
        planted = json.load(file)
    rows, invalid = planted["rows"], planted["invalid"]

    def end():
        jobs = [api.job(job_id) for job_id in job_ids]
        return jobs if all(map(is_over, jobs)) else None

    began = time.monotonic()
    jobs = eventually("the end of the jobs", end)
    took = time.monotonic() - began
    for job in jobs:
        result = f"result_id = (select result_id from jobs where id = {job['id']})"
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
    print(f"exact: {len(jobs)} × {rows:,} rows, each with one verdict, {took:.1f} s after the last fault")


def main():
    command, *arguments = sys.argv[1:]
    {"generate": generate, "upload": upload, "start": start, "advance": advance,
     "hang": hang, "orphans": orphans, "judge": judge}[command](*arguments)


main()
