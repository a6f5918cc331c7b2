"""Processor time and memory of a process tree."""

import os
import subprocess
import sys
import time

from benchmarks.processes import Others, Server

CHILD = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
PARENT = (
    "import subprocess, sys\n"
    f"subprocess.run([sys.executable, '-c', {CHILD!r}])\n"  # has ended
    "child = subprocess.Popen([sys.executable, '-c', 'print(1, flush=True); input()'])\n"
    "input()\n"
)


def test_children_count_whether_they_have_ended_or_not() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        tree = Server("", process.pid, 0.0, 0.0)
        assert tree.processor_seconds >= 0.3
        assert 2 * 2**20 < tree.resident_bytes <= tree.peak_bytes < 2**30
        process.kill()


def test_a_process_that_has_gone_takes_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    gone = Server("", process.pid, 0.0, 0.0)
    assert (gone.processor_seconds, gone.resident_bytes, gone.peak_bytes) == (0.0, 0, 0)
    assert Server("", os.getpid(), 0.0, 0.0).resident_bytes > 0


def test_own_work_is_not_that_of_others() -> None:
    others, began, count = Others(), time.perf_counter(), os.cpu_count() or 1
    busy = [subprocess.Popen([sys.executable, "-c", CHILD]) for _ in range(count)]
    for process in busy:
        process.wait()
    seconds = time.perf_counter() - began
    left = count * seconds - count * 0.3  # of all processors, without what the children took
    assert others.processors * seconds < left + 0.1
