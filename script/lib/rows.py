"""Writes files of transactions whose verdicts are known. Uses only the standard library.

Blocks of 1,000 rows differ only in a few digits. A block is rendered once, with placeholders for those digits, and each
block of the file replaces them, so gigabytes are written at more than 100 MB/s. Rows are numbered from 1.

Every 100th row is suspicious. In a file with errors, every 20th row is invalid, in one of ten ways in turn.
"""

import csv
import datetime
import io
import json
import os
import string
from typing import NamedTuple

BLOCK = 1000  # rows
INVALID_EVERY = 20
SUSPICIOUS_EVERY, FIRST_SUSPICIOUS = 100, 51

HEADER = "transaction_id,amount,date,description\n"
DESCRIPTIONS = ["Monthly subscription", "Service fee", "Product purchase", "Consulting, hours", "Refund of deposit"]
FIRST_DAY = datetime.date(2024, 1, 1)
DAYS = [(FIRST_DAY + datetime.timedelta(days=day)).isoformat() for day in range(366)]
LONGEST_ID = 255  # characters


class Planted(NamedTuple):
    """The counts that a job must find in a file."""

    rows: int
    invalid: int
    suspicious: int

    @property
    def valid(self):
        return self.rows - self.invalid


class Row(NamedTuple):
    """The fields of a row as in the file, and its error: (code, message), or None for a valid row."""

    fields: list
    error: tuple | None = None


def planted(rows, with_errors):
    suspicious = (rows + SUSPICIOUS_EVERY - FIRST_SUSPICIOUS) // SUSPICIOUS_EVERY
    return Planted(rows, len(invalid_rows(rows)) if with_errors else 0, suspicious)


def invalid_rows(rows):
    """Returns the numbers of the invalid rows in a file with errors."""
    return range(INVALID_EVERY, rows + 1, INVALID_EVERY)


def transaction_id(row_number):
    """Returns the id of a row, unless its error is about the id."""
    return f"TXN{row_number:08d}"


def description(row_number):
    return f"{DESCRIPTIONS[row_number % len(DESCRIPTIONS)]} {row_number % 1_000_000:06d}"


def block_digits(block):
    """Returns the values of the placeholders in a block."""
    return {
        "{block}": f"{block:05d}",
        "{earlier}": f"{block // 2:05d}",  # the block whose ids are repeated in this one
        "{text}": f"{block % 1000:03d}",
        "{units}": f"{10 + block * 7 % 40}",
    }


def valid_row(number):
    """Returns the row with this number in its block, without an error."""
    cents = number * 7919 % 100_000
    amount = f"{{units}}{cents // 100:03d}.{cents % 100:02d}"  # 10,000 to 49,999.99
    if number % SUSPICIOUS_EVERY == FIRST_SUSPICIOUS:
        amount = ("-" if number % (2 * SUSPICIOUS_EVERY) == FIRST_SUSPICIOUS else "9") + amount
    text = f"{DESCRIPTIONS[number % len(DESCRIPTIONS)]} {{text}}{number:03d}"
    return Row([f"TXN{{block}}{number:03d}", amount, DAYS[number * 31 % len(DAYS)], text])


def invalid_row(number):
    """Returns the same row with one error."""
    row_id, amount, date, text = valid_row(number).fields
    match number // INVALID_EVERY % 10:
        case 0:
            return Row([row_id, "n/a", date, text], ("amount.not_a_number", 'amount is not a number: "n/a"'))
        case 1:
            return Row([row_id, amount, "yesterday", text], ("date.not_a_date", 'date is not a date: "yesterday"'))
        case 2:
            return Row(["", amount, date, text], ("transaction_id.missing", "transaction_id is missing"))
        case 3:
            date = "2024-02-30"
            return Row([row_id, amount, date, text], ("date.out_of_range", f'date does not exist: "{date}"'))
        case 4:
            row_id = f"TXN{{earlier}}{number - 19:03d}"
            error = ("transaction_id.duplicate", f"transaction_id is repeated: {row_id}")
            return Row([row_id, amount, date, text], error)
        case 5:
            fields = [row_id, amount, date, text, "one field too many"]
            return Row(fields, ("row.column_count", "row has 5 fields, but the header has 4 columns"))
        case 6:
            return Row([row_id, "", date, text], ("amount.missing", "amount is missing"))
        case 7:
            return Row([row_id, "1e90", date, text], ("amount.out_of_range", 'amount is out of range: "1e90"'))
        case 8:
            return Row([row_id, amount, "", text], ("date.missing", "date is missing"))
        case _:
            error = ("transaction_id.too_long", f"transaction_id is longer than {LONGEST_ID} characters")
            return Row([row_id.ljust(LONGEST_ID + 10, "x"), amount, date, text], error)


def block_rows(with_errors):
    def row(number):
        return invalid_row(number) if with_errors and number % INVALID_EVERY == 0 else valid_row(number)

    return [row(number) for number in range(BLOCK)]


def upload_line(row):
    head, (text, *surplus) = row.fields[:3], row.fields[3:]
    return ",".join([*head, f'"{text}"', *surplus]) + "\n"


def table_line(number, row):
    """Returns a row as a line for `\\copy`, in the order result_id, row_number, transaction_id, amount, date, description,
    is_valid, is_suspicious, errors. A value with an error is null."""
    shown = dict(zip(["transaction_id", "amount", "date", "description"], row.fields))
    errors = None
    if row.error:
        code, message = row.error
        field = code.split(".")[0]
        errors = json.dumps([{"field": field, "code": code, "message": message}])
        hidden = {"row.column_count": ["amount", "date"], "transaction_id.duplicate": []}.get(code, [field])
        shown |= dict.fromkeys(hidden)
        if code == "transaction_id.too_long":
            shown["transaction_id"] = row.fields[0][:LONGEST_ID]
    is_suspicious = number % SUSPICIOUS_EVERY == FIRST_SUSPICIOUS
    line = io.StringIO()
    values = [1, f"{{block}}{number:03d}", *shown.values(), not row.error, is_suspicious, errors]
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def write_rows(path, header, lines, rows):
    """Writes `rows` rows from the lines of a block."""
    template = "".join(lines).encode()
    last = rows // BLOCK
    with open(path, "wb") as file:
        file.write(header.encode())
        for block in range(last + 1):
            content = template
            for placeholder, digits in block_digits(block).items():
                content = content.replace(placeholder.encode(), digits.encode())
            if block in (0, last):
                end = rows % BLOCK + 1 if block == last else BLOCK
                content = b"".join(content.splitlines(keepends=True)[1 if block == 0 else 0 : end])
            file.write(content)


def write_upload(path, rows, with_errors=False):
    """Writes a file to upload and returns the planted counts."""
    write_rows(path, HEADER, map(upload_line, block_rows(with_errors)), rows)
    return planted(rows, with_errors)


def write_table(path, rows, with_errors=False):
    """Writes the same rows with their verdicts, in the format of `\\copy`."""
    lines = (table_line(number, row) for number, row in enumerate(block_rows(with_errors)))
    write_rows(path, "", lines, rows)


def write_equal_ids(path, size):
    """Writes a file of about `size` bytes in which all rows have the same id."""
    line = b"a,1,2024-01-01\n"
    rows = size // len(line)
    with open(path, "wb") as file:
        file.write(b"transaction_id,amount,date\n")
        for start in range(0, rows, BLOCK):
            file.write(line * min(BLOCK, rows - start))
    return Planted(rows, invalid=rows - 1, suspicious=0)


def write_short_ids(path, size):
    """Writes a file of about `size` bytes, at most 103 MB, with a new id every seven bytes and nothing else."""
    letters = string.ascii_letters + string.digits
    pairs = [(first + second).encode() for first in letters for second in letters]
    template = b"".join(b"{}" + pair + b",,\n" for pair in pairs)
    blocks = size // (7 * len(pairs))
    with open(path, "wb") as file:
        file.write(b"transaction_id,amount,date\n")
        for pair in pairs[:blocks]:
            file.write(template.replace(b"{}", pair))
    rows = min(blocks, len(pairs)) * len(pairs)
    return Planted(rows, invalid=rows, suspicious=0)


def megabytes(path):
    return os.path.getsize(path) / 1e6
