# SPDX-License-Identifier: GPL-2.0-only
"""Runs side by side on this computer, as many as its processors and its memory allow."""
import json
import os
import signal
import sys
import time

from job import Job
from results import title, told, where
from suitefile import needs, processors

# What is left to everybody else.
RESERVE = 1 << 30


def duration(seconds):
    seconds = int(seconds)
    if seconds >= 7200:
        return "%d h %d min" % (seconds // 3600, seconds % 3600 // 60)
    return "%d min %d s" % divmod(seconds, 60) if seconds >= 120 else "%d s" % seconds


def memory():
    """Bytes that are available, as the kernel estimates it."""
    with open("/proc/meminfo", encoding="ascii") as f:
        for line in f:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return 0


class Times:
    """How long runs took, kept for the next estimate."""

    def __init__(self):
        cache = os.environ.get("TAGSCOPE_CACHE") or os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tagscope")
        self.path = os.path.join(cache, "suite-times.json")
        try:
            with open(self.path, encoding="utf-8") as f:
                self.known = json.load(f)
        except (OSError, ValueError):
            self.known = {}

    @staticmethod
    def key(run):
        return title(run) + where(run)

    def add(self, run, seconds):
        self.known[self.key(run)] = round(seconds, 1)

    def guess(self, run):
        if self.key(run) in self.known:
            return self.known[self.key(run)]
        return sum(self.known.values()) / len(self.known) if self.known else 10

    def save(self):
        new = "%s.%d" % (self.path, os.getpid())
        try:
            with open(new, "w", encoding="utf-8") as f:
                json.dump(self.known, f)
            os.replace(new, self.path)
        except OSError:
            pass  # It is an estimate, no more.


class Runner:
    def __init__(self, folder, jobs=None, until_fail=False):
        self.folder, self.jobs, self.until_fail = folder, jobs, until_fail
        self.cpus = len(os.sched_getaffinity(0))
        self.running, self.done, self.failed = [], 0, 0
        # What is available when none of ours runs.
        self.idle = 0
        self.interrupted = 0
        self.times = Times()
        self.tty = sys.stderr.isatty()
        self.told = time.monotonic()

    def room(self):
        """Bytes for one more guest. Those that run have not yet touched all that is theirs."""
        now = memory()
        self.idle = max(now, self.idle if self.running else 0)
        return min(now, self.idle - sum(needs(job.run) for job in self.running)) - RESERVE

    def fits(self, run, room):
        if not self.running:
            return True
        if self.jobs and len(self.running) >= self.jobs:
            return False
        if needs(run) > room:
            return False
        return bool(self.jobs) or processors(run["machine"]) + sum(job.cpus for job in self.running) <= self.cpus

    def run(self):
        """Everything that has no result yet. False: it was interrupted."""
        queue = [run for run in self.folder.runs if not self.folder.done(run)]
        total = len(queue)
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, self.on_signal)
        try:
            while (queue or self.running) and not self.interrupted:
                stop = self.until_fail and self.failed
                if stop:
                    queue = []
                # A small one may go before a large one that has to wait.
                room = self.room()
                run = next((r for r in queue if self.fits(r, room)), None)
                if run:
                    queue.remove(run)
                    self.running.append(Job(self.folder, run))
                    continue
                time.sleep(0.1)
                for job in list(self.running):
                    if job.child.poll() is not None:
                        self.running.remove(job)
                        self.ended(job)
                self.progress(queue, total)
        finally:
            self.clear()
            for job in self.running:
                job.stop()
            for job in self.running:
                job.drop()
            self.times.save()
        return not self.interrupted

    def on_signal(self, number, _):
        self.interrupted = number

    def ended(self, job):
        result, run = job.finish(), job.run
        self.done += 1
        state, why = self.folder.judge(run, result)
        if state in ("failed", "error"):
            self.failed += 1
        else:
            self.times.add(run, job.seconds())
        self.clear()
        print(told(run, result, state, why), flush=True)

    def clear(self):
        if self.tty:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def progress(self, queue, total):
        every = 1 if self.tty else 30
        if time.monotonic() - self.told < every:
            return
        self.told = time.monotonic()
        left = sum(self.times.guess(r) * min(1, r["machine"]["cpus"] / self.cpus) for r in queue)
        left += max([self.times.guess(j.run) - j.seconds() for j in self.running] + [0])
        names = ", ".join("%s %d s" % (j.run["scenario"], j.seconds()) for j in self.running)
        line = "suite: %d of %d done, %d failed; running: %s; about %s left" % (
            self.done, total, self.failed, names, duration(left))
        if self.tty:
            print("\r\033[K" + line[:os.get_terminal_size(2).columns - 1], end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)
