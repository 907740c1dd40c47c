"""Files of transactions whose verdicts are known, and a client for the API. Only the standard library is used."""

import datetime
import http.client
import json
import os
import time

DESCRIPTIONS = ["Monthly subscription", "Service fee", "Product purchase", "Consulting, hours", "Refund of deposit"]
FIRST_DAY = datetime.date(2024, 1, 1)
DAYS = [(FIRST_DAY + datetime.timedelta(days=day)).isoformat() for day in range(366)]


def valid_fields(row):
    """The fields of a row without errors, as they stand in a CSV file, and its id."""
    cents = row * 7919 % 5_000_000  # up to 50000: not suspicious
    return (
        f"TXN{row:08d}",
        f"{cents // 100}.{cents % 100:02d}",
        DAYS[row * 31 % 366],
        f'"{DESCRIPTIONS[row % 5]} {row % 1_000_000:06d}"',
    )


def broken(row, fields):
    """The same row with an error, a different one in turn."""
    transaction_id, amount, date, description = fields
    match row // 20 % 6:
        case 0:
            return transaction_id, "12;50", date, description
        case 1:
            return transaction_id, amount, "31.12.2024", description
        case 2:
            return "", amount, date, description
        case 3:
            return transaction_id, amount, "2024-02-30", description
        case 4:
            return valid_fields(row // 2 + 1)[0], amount, date, description  # the id of a valid row long before
        case _:
            return transaction_id, amount, date, description, "one cell too many"


def write_upload(path, rows, with_errors=False):
    """Writes a file for the upload; every twentieth row of one with errors is invalid. Gives the number of those."""
    invalid = 0
    with open(path, "w", newline="") as file:
        file.write("transaction_id,amount,date,description\n")
        for row in range(1, rows + 1):
            fields = valid_fields(row)
            if with_errors and row % 20 == 0:
                fields = broken(row, fields)
                invalid += 1
            file.write(",".join(fields) + "\n")
    return invalid


class Api:
    """The API at HOST:PORT."""

    def __init__(self, address, timeout=600):
        self.address = address
        self.timeout = timeout

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=self.timeout)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:
            raise ApiError(f"{method} {path} answered {answer.status}: {text}")
        return json.loads(text) if text else None

    def job(self, job_id):
        return self.call("GET", f"/jobs/{job_id}")

    def create_user(self):
        person = {"name": "Script", "email": f"script-{os.getpid()}-{time.time_ns()}@example.com"}
        return self.call("POST", "/users", json.dumps(person), {"Content-Type": "application/json"})["id"]

    def upload(self, user_id, path):
        boundary = "batchline-script"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{os.path.basename(path)}"\r\n'
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
        return self.call("POST", f"/jobs?user_id={user_id}", parts(), headers)["id"]

    def command(self, job_id, command):
        return self.call("POST", f"/jobs/{job_id}/{command}")


class ApiError(Exception):
    """What the API answered to a call that it refused."""
