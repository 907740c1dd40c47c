"""Loads a file into a DuckDB table on disk, finds the repeated ids, and prints as JSON how long that took. Run by
script/bench.

    python3 duckdb_load.py FILE DATABASE
"""

import json
import os
import sys
import time

import duckdb

READ = """create table rows as select transaction_id, amount, date, description from read_csv(?, auto_detect = false, header = true, delim = ',', quote = '"',
    columns = {'transaction_id': 'varchar', 'amount': 'decimal(28, 10)', 'date': 'date', 'description': 'varchar'},
    store_rejects = true)"""
REPEATED = "select count(*) from (select transaction_id from rows group by transaction_id having count(*) > 1)"
COUNTS = "select (select count(*) from rows), (select count(distinct line) from reject_errors)"

file, database = sys.argv[1:]
with duckdb.connect(database, config={"threads": os.cpu_count()}) as connection:
    started = time.perf_counter()
    connection.execute(READ, [file])
    (repeated,) = connection.execute(REPEATED).fetchone()
    seconds = time.perf_counter() - started
    loaded, rejected = connection.execute(COUNTS).fetchone()
os.remove(database)
print(json.dumps({"seconds": seconds, "repeated": repeated, "loaded": loaded, "rejected": rejected}))
