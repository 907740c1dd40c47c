"""The resource usage of processes, from /proc (Linux, proc_pid_stat(5) and proc_pid_status(5))."""

import os

TICKS = os.sysconf("SC_CLK_TCK")  # per second


def peak_memory(pid):
    """Returns the peak resident memory of a process in MB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmHWM"))


def reset_peak_memory(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def cpu_seconds(pid):
    """Returns the CPU time of a process and all of its descendants, including those that have exited."""
    parents, ticks = {}, {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/stat") as file:
                stat = file.read()
        except (FileNotFoundError, ProcessLookupError):  # it has exited
            continue
        fields = stat[stat.rindex(")") + 2 :].split()  # the program's name in parentheses may contain anything
        parents[int(process)] = int(fields[1])
        ticks[int(process)] = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime

    def belongs(process):
        while process and process != pid:
            process = parents.get(process)
        return process == pid

    return sum(ticks[process] for process in ticks if belongs(process)) / TICKS
