# SPDX-License-Identifier: GPL-2.0-only
"""Runs on other computers: GNU parallel and Slurm start them; what comes back is taken into the folder."""
import glob
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import job
from results import write
from suitefile import TOP, SuiteError, needs, processors

# A task of an array takes every thousandth run: Slurm's MaxArraySize is 1001 unless configured.
TASKS = 1000


def missing(folder):
    """The runs without a result, as the list that others start them from."""
    runs = [run for run in folder.runs if not folder.done(run)]
    write(folder.path + "/jobs", "".join(run["id"] + "\n" for run in runs))
    return runs


def take_returned(folder):
    """The archives that came back: each is a run's folder, or nothing yet."""
    known = {run["id"]: run for run in folder.runs}
    for path in sorted(glob.glob(os.path.join(glob.escape(folder.path), "returned", "*.tar"))):
        run = known.get(os.path.basename(path)[:-4])
        if run and not folder.done(run):
            new = folder.attempt(run["id"])
            try:
                with tarfile.open(path) as tar:
                    names = [m.name for m in tar.getmembers()]
                    if any("/" in n or not m.isfile() for n, m in zip(names, tar.getmembers())):
                        raise tarfile.TarError("it holds more than files")
                    tar.extractall(new, filter="data")
                folder.keep(run, new)
            except (tarfile.TarError, EOFError) as e:
                print("suite: %s: is no archive of a run: %s; removed, --resume runs it again" % (path, e),
                      file=sys.stderr)
                shutil.rmtree(new, ignore_errors=True)
        os.unlink(path)


def pack(folder, ident):
    """The archive of a run, for its way back."""
    os.makedirs(folder.path + "/returned", exist_ok=True)
    path = "%s/returned/%s.tar" % (folder.path, ident)
    with tarfile.open(path + ".new", "w") as tar:
        for name in sorted(os.listdir(folder.run_path(ident))):
            if os.path.isfile(folder.run_path(ident, name)):
                tar.add(folder.run_path(ident, name), name)
    os.replace(path + ".new", path)
    # Nothing of it stays on the host.
    shutil.rmtree(folder.run_path(ident))


def interrupt(*_):
    raise KeyboardInterrupt


def parallel(folder, hosts, remote, jobs):
    """Everything that has no result yet, on these hosts. False: it was interrupted."""
    for program in ("parallel", "rsync", "ssh"):
        if not shutil.which(program):
            raise SuiteError("%s is missing; install the packages parallel, rsync and openssh-client" % program)
    if not missing(folder):
        return True
    # A host that no longer answers is noticed within 20 s, and its run begins anew elsewhere.
    ssh = os.environ.get("PARALLEL_SSH", "ssh") + " -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5" \
        " -o ServerAliveCountMax=3"
    work = "tagscope-suite-%s-%s" % (folder.plan["digest"], secrets.token_hex(4))
    command = ["parallel", "--will-cite", "--ssh", ssh, "--filter-hosts", "--sshlogin", hosts, "--jobs", str(jobs or 1),
               "--retries", "4", "--joblog", folder.path + "/joblog", "--workdir", work, "--basefile", "./plan.json",
               *("--basefile=./" + path for path in glob.glob("images/*/*", root_dir=folder.path)),
               "--return", "returned/{}.tar", "--cleanup", "--arg-file", "jobs",
               # On this host (:) that is a folder in the one of the results, and nothing is sent.
               "%s --job {} --pack $(test -e plan.json && echo . || echo ..)" % shlex.quote(os.path.join(remote or TOP, "scripts/suite"))]
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, interrupt)
    with subprocess.Popen(command, cwd=folder.path, stdin=subprocess.DEVNULL) as child:
        try:
            status = child.wait()
        except KeyboardInterrupt:
            # Told once it would wait for what runs.
            for _ in range(2):
                child.terminate()
                time.sleep(0.2)
            status = 130
    take_returned(folder)
    shutil.rmtree(os.path.join(folder.path, work), ignore_errors=True)
    if status == 255:
        raise SuiteError("GNU parallel could not begin (see above); 'ssh HOST true' has to work without a password")
    # Up to 101 runs that were not possible: what is missing will be told.
    return status <= 101


def slurm(folder):
    """Write the script of an array of all that has no result yet; its path."""
    runs = missing(folder)
    if not runs:
        raise SuiteError("%s: nothing is left to run; scripts/suite --merge makes its reports" % folder.path)
    cpus = max(processors(run["machine"]) for run in runs)
    # All of a task's runs at their limits, and a kernel that is built first: with 2 GiB, in less than an hour.
    mib = max([needs(run) for run in runs] + [2 << 30]) >> 20
    minutes = -(-len(runs) // TASKS) * max(job.limit(run) for run in runs) // 60 + 60
    path = folder.path + "/array.sbatch"
    write(path, """#!/bin/bash
#SBATCH --job-name=%s
#SBATCH --array=1-%d
#SBATCH --cpus-per-task=%d
#SBATCH --mem=%dM
#SBATCH --time=%d
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%s
# The folder is to be seen by all nodes. What has a result is not run again.
status=0
for id in $(sed -n "${SLURM_ARRAY_TASK_ID}~%dp" %s); do
	%s --job "$id" %s || status=$?
done
exit "$status"
""" % (folder.plan["name"], min(len(runs), TASKS), cpus, mib, minutes,
       shlex.quote(folder.path.replace("%", "%%") + "/slurm-%a.log"), TASKS,
       shlex.quote(folder.path + "/jobs"), shlex.quote(TOP + "/scripts/suite"), shlex.quote(folder.path)))
    return path
