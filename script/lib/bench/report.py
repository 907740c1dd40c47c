"""Prints measurements, one per line: the value, then its description."""

import statistics


def heading(text):
    print(f"\n{text}", flush=True)


def figure(value, text):
    print(f"  {value:>10}  {text}", flush=True)


def ratio(value, text):
    figure(f"{value:.2f}", text)


def median_ratio(values, others):
    """Returns the median of the ratios of alternating measurements."""
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


def costs(jobs):
    """Prints the median costs of jobs with the same file."""

    def median(cost):
        return statistics.median(map(cost, jobs))

    millions = jobs[0].planted.rows / 1e6
    figure(f"{median(lambda job: job.worker_peak):.0f} MB", "peak memory of the worker")
    for value, unit, what in [
        (median(lambda job: job.disk) / 1e6, "MB", "on disk in PostgreSQL"),
        (median(lambda job: job.wal) / 1e6, "MB", "of WAL"),
        (median(lambda job: job.cpu["PostgreSQL"]), "s", "of CPU in PostgreSQL"),
        (median(lambda job: job.cpu["worker"]), "s", "of CPU in the worker"),
    ]:
        figure(f"{value:.2f} {unit}", f"{what}, {value / millions:.3f} {unit} per million rows")
