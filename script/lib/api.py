"""A client for the API. Uses only the standard library."""

import contextlib
import http.client
import json
import os
import time


class ApiError(Exception):
    """A call that the API refused, with its response as the text."""


class Api:
    """The API at HOST:PORT. With `keep_alive` all calls share one connection, so only one thread may use it."""

    def __init__(self, address, timeout=600, keep_alive=False):
        self.address = address
        self.timeout = timeout
        self.kept = self.connect() if keep_alive else None

    def connect(self):
        return http.client.HTTPConnection(self.address, timeout=self.timeout)

    @contextlib.contextmanager
    def response(self, method, path, body=None, headers=None):
        """Yields the response to a request, to be read as it arrives."""
        connection = self.kept or self.connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            if response.status >= 400:
                raise ApiError(f"{method} {path} answered {response.status}: {response.read().decode()}")
            yield response
        finally:
            if connection is not self.kept:
                connection.close()

    def call(self, method, path, body=None, headers=None):
        """Returns the JSON response to a request, or None if it is empty."""
        with self.response(method, path, body, headers) as response:
            text = response.read().decode()
        return json.loads(text) if text else None

    def job(self, job_id):
        return self.call("GET", f"/jobs/{job_id}")

    def rows(self, job_id, query):
        return self.call("GET", f"/jobs/{job_id}/transactions?{query}")

    def create_user(self):
        person = {"name": "Script", "email": f"script-{os.getpid()}-{time.time_ns()}@example.com"}
        return self.call("POST", "/users", json.dumps(person), {"Content-Type": "application/json"})["id"]

    def upload(self, user_id, path):
        """Uploads a file and returns the id of its job."""
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
