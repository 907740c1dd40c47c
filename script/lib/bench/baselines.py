"""Times other programs that load the same rows as a job."""

import os
import sys
import time

TABLE = """create table copied (
    result_id bigint not null, row_number bigint not null, transaction_id text, amount numeric, date date,
    description text, is_valid boolean not null, is_suspicious boolean not null, errors jsonb,
    primary key (result_id, row_number))"""

READ = """create table rows as select * from read_csv(?, auto_detect = false, header = true, delim = ',', quote = '"',
    columns = {'transaction_id': 'varchar', 'amount': 'decimal(28, 10)', 'date': 'date', 'description': 'varchar'},
    store_rejects = true)"""
REPEATED = "select count(*) from (select transaction_id from rows group by transaction_id having count(*) > 1)"


def psql_copy(system, table_file):
    """Returns the seconds of `\\copy` into a table with a primary key."""
    system.sql("drop table if exists copied", TABLE, "checkpoint")
    started = time.perf_counter()
    system.sql(f"\\copy copied from '{table_file}' with (format csv)")
    seconds = time.perf_counter() - started
    system.sql("drop table copied")
    return seconds


def duckdb_load(system, upload, planted):
    """Returns the seconds that DuckDB takes, in this process and on all cores, to load a file into a table on disk and
    to find the repeated ids. Rows that don't fit the columns' types are rejected; nothing else is checked."""
    import duckdb

    path = system.path("duckdb.db")
    with duckdb.connect(path, config={"threads": os.cpu_count()}) as connection:
        started = time.perf_counter()
        connection.execute(READ, [upload])
        (repeated,) = connection.execute(REPEATED).fetchone()
        seconds = time.perf_counter() - started
        counts = "select (select count(*) from rows), (select count(distinct line) from reject_errors)"
        loaded, rejected = connection.execute(counts).fetchone()
    os.remove(path)
    if loaded + rejected != planted.rows or (repeated > 0) != (planted.invalid > 0):
        sys.exit(f"DuckDB loaded {loaded} rows, rejected {rejected} and found {repeated} repeated ids in {planted}")
    return seconds
