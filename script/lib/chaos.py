"""Loads Batchline for script/chaos: runs jobs, waits for their progress, and checks their results.

    chaos.py generate FILE ROWS           writes a file
    chaos.py upload FILE COUNT            uploads it COUNT times and prints the ids of the jobs
    chaos.py start JOB...                 starts the jobs at once
    chaos.py advance JOB...               waits until the jobs have made progress since the last call, and prints
                                          "over" or "under_way"
    chaos.py hang                         starts an upload that never ends, prints a line, and keeps it open
    chaos.py orphans                      waits until the storage holds only the files of jobs
    chaos.py check FILE JOB...            waits until the jobs are over; fails unless every row has the planted verdict
"""

import concurrent.futures
import csv
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time

from api import Api, ApiError
from rows import Planted, write_upload

api = Api(os.environ["API_ADDR"], timeout=10)
directory = os.environ["CHAOS_DIRECTORY"]
PATIENCE = 180  # seconds without any progress
PAGE = 50  # rows


def eventually(what, ask):
    """Calls `ask` until it returns something. A server that can't be reached counts as nothing."""
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
    planted = write_upload(path, int(rows), with_errors=True)
    with open(path + ".json", "w") as file:
        json.dump(planted._asdict(), file)


def upload(path, count):
    user_id = eventually("a user", api.create_user)
    print(*(eventually("the upload", lambda: api.upload(user_id, path)) for _ in range(int(count))))


def start(*job_ids):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda job_id: eventually("the start", lambda: api.command(job_id, "start")), job_ids))


def advance(*job_ids):
    memory = os.path.join(directory, f"advance-{job_ids[0]}")
    before = int(open(memory).read()) if os.path.exists(memory) else 0

    wanted = set(map(int, job_ids))

    def further():
        # A single request, however many jobs there are, because they may end before many requests are answered.
        user_id = api.job(job_ids[0])["user_id"]
        jobs = [job for job in api.call("GET", f"/users/{user_id}/jobs") if job["id"] in wanted]
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
    """Returns the names of the files in the storage, including partially written ones."""
    return sorted(os.listdir(os.path.join(directory, "uploads")))


def files_of_jobs():
    """Returns the names of the files that jobs refer to: all uploads, and the id indexes of larger ones."""
    return sorted(query("select storage_key from jobs union all "
                        "select id_index ->> 'storage_key' from jobs where id_index is not null"))


def orphans():
    eventually("the storage to hold exactly the files of jobs", lambda: stored_files() == files_of_jobs() or None)
    print("  nothing is left of the interrupted upload, and every id index belongs to a job")


def query(sql):
    """Returns the values of all rows as a flat list."""
    options = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--field-separator=\n"]
    command = [os.environ["CHAOS_PSQL"], *options, f"--dbname={os.environ['DATABASE_URL']}", f"--command={sql}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def check(path, *job_ids):
    with open(path + ".json") as file:
        planted = Planted(**json.load(file))

    def end():
        jobs = [api.job(job_id) for job_id in job_ids]
        return jobs if all(map(is_over, jobs)) else None

    began = time.monotonic()
    jobs = eventually("the end of the jobs", end)
    took = time.monotonic() - began
    for job in jobs:
        job_id = job["id"]
        if job["status"] != "completed":
            sys.exit(f"job {job_id} is {job['status']}: {job['error']}")
        counts = [job[name] for name in ("total_records", "processed_records", "valid_records", "invalid_records")]
        expect(f"job {job_id}", counts, [planted.rows, planted.rows, planted.valid, planted.invalid])
        expect(f"the ledger of job {job_id}", ledger(job_id), [planted.rows, planted.valid, planted.invalid, 0, 0])
        eventually("results.csv", lambda: check_results(job_id, planted))
        eventually("the last invalid rows", lambda: check_last_invalid_page(job_id, planted))
    print(f"exact: {len(jobs)} × {planted.rows:,} rows, each with one verdict, {took:.1f} s after the last fault")


def expect(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: found {found}, expected {expected}")


def ledger(job_id):
    """Returns the sums of rows, valid and invalid records, and the number of chunks that aren't committed or don't
    start with the row after the previous chunk."""
    return [int(value) for value in query(f"""
        select sum(rows), sum(valid_records), sum(invalid_records), count(*) - count(committed_at),
               count(*) filter (where first_row is distinct from 1 + rows_before)
        from (
            select rows, valid_records, invalid_records, committed_at, first_row,
                   coalesce(sum(rows) over (order by number rows between unbounded preceding and 1 preceding), 0)
                       as rows_before
            from job_chunks where result_id = (select result_id from jobs where id = {job_id})
        ) as chunks""")]


def check_results(job_id, planted):
    """Reads results.csv as a stream. Row numbers must count from 1 without gaps, each with its planted verdict."""
    invalid = planted.invalid_rows
    with api.response("GET", f"/jobs/{job_id}/results.csv") as response:
        records = csv.reader(io.TextIOWrapper(response, encoding="utf-8", newline=""))
        header = next(records)
        number, verdict = header.index("row_number"), header.index("is_valid")
        count = found_invalid = 0
        for count, record in enumerate(records, start=1):
            expect(f"record {count} of results.csv of job {job_id}", [record[number], record[verdict]],
                   [str(count), "false" if count in invalid else "true"])
            found_invalid += record[verdict] == "false"
    expect(f"results.csv of job {job_id}", [count, found_invalid], [planted.rows, planted.invalid])
    return True


def check_last_invalid_page(job_id, planted):
    last_page = (planted.invalid - 1) // PAGE
    rows = api.rows(job_id, f"filter=invalid&size={PAGE}&page={last_page + 1}")
    found = [row["row_number"] for row in rows if not row["is_valid"]]
    expected = list(planted.invalid_rows[last_page * PAGE :])
    expect(f"the last page of invalid rows of job {job_id}", found, expected)
    return True


def main():
    command, *arguments = sys.argv[1:]
    {"generate": generate, "upload": upload, "start": start, "advance": advance,
     "hang": hang, "orphans": orphans, "check": check}[command](*arguments)


main()
