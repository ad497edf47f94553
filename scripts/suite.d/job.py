# SPDX-License-Identifier: GPL-2.0-only
"""One run: a boot of the machine with one scenario, from its start to its result."""
import json
import os
import shutil
import socket
import subprocess
import time

from results import NOT_STARTED, STATUS_OF, write
from suitefile import TOP, SuiteError, processors, vm_options

# What scripts/vm ends with when it is not the scenario that told its status.
MACHINE_STATUS = {
    120: "fail", 121: "fail", 124: "fail", 125: "fail", 2: "error", 3: "error", 122: "error", 127: "error",
    NOT_STARTED: "error",
}
# What else it says.
NOT_SAID = ("vm: tag storage", "vm: the end of the kernel log", "vm: there is no recording")
# Time for booting and powering off, in seconds.
BOOT = 90
# While instructions are counted a second of the guest takes longer than one here.
ICOUNT = 5

images = {}


def image(folder, machine):
    """The path of the machine's kernel, which is built if need be."""
    kernel, pages = machine["kernel"], machine["page_size"]
    if kernel in folder.plan["images"]:
        path = folder.image_path(folder.plan["images"][kernel])
        if not os.access(path, os.R_OK):
            raise SuiteError("%s: cannot be read, and is the kernel '%s' of this folder; begin anew with --output"
                             % (path, kernel))
        return path
    if (kernel, pages) not in images:
        command = [TOP + "/scripts/kernel", "image"]
        if pages != "4K":
            command += ["--config", "%s/scripts/suite.d/pages-%s.config" % (TOP, pages)]
        done = subprocess.run(command + [kernel], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode:
            raise SuiteError("the %s kernel with pages of %s cannot be built (see above)" % (kernel, pages))
        images[kernel, pages] = done.stdout.strip()
    return images[kernel, pages]


def limit(run):
    """The seconds that a run may take."""
    return run["limit"] * (ICOUNT if run["machine"]["icount"] else 1) + BOOT


class Job:
    def __init__(self, folder, run):
        self.folder, self.run = folder, run
        machine = run["machine"]
        self.cpus = processors(machine)
        self.attempt = folder.attempt(run["id"])
        path = image(folder, machine)
        own = folder.plan["images"].get(machine["kernel"])
        self.kernel = own["path"] if own else os.path.basename(os.path.dirname(path))
        command = [TOP + "/scripts/vm", "--quiet", "--no-stdin", "--no-tty", "--log", "kernel.log",
                   "--fair-timeout", str(limit(run))]
        command += vm_options(dict(machine, kernel="patched")) + ["--kernel", path]
        if machine["kernel"] == "vanilla":
            # Only its name tells scripts/vm that this kernel knows no policy.
            command[-1] = "vanilla" if machine["page_size"] == "4K" else path
        if run["record"]:
            command += ["--record", "recording.rec"]
        command += ["--", "tagscope", "run", "--format", "json", "--seed", str(run["seed"])]
        if run["time_limit"]:
            command += ["--time-limit", str(run["time_limit"])]
        command += [run["scenario"]] + ["%s=%s" % p for p in run["params"].items()]
        self.command = command
        self.started, self.clock = time.time(), time.monotonic()
        with open(self.attempt + "/events.json", "wb") as out, open(self.attempt + "/console.log", "wb") as err:
            # Ctrl-C is for the runner, which tells the others. However it ends, the guest goes with it.
            self.child = subprocess.Popen(["setpriv", "--pdeathsig", "TERM"] + command, stdin=subprocess.DEVNULL,
                                          stdout=out, stderr=err, cwd=self.attempt, start_new_session=True)

    def seconds(self):
        return time.monotonic() - self.clock

    def stop(self):
        """End it; it has no result."""
        self.child.terminate()

    def drop(self):
        self.child.wait()
        shutil.rmtree(self.attempt, ignore_errors=True)

    def finish(self):
        """Its result, when the child has ended; kept in the folder, unless there is one."""
        status = self.child.returncode
        verdict, reason, counts, failures, measures, ns = self.events()
        said = self.said()
        if status == STATUS_OF.get(verdict):
            pass
        elif status in MACHINE_STATUS and (verdict is None or status not in (2, 3, 127)):
            verdict, reason = MACHINE_STATUS[status], said or "scripts/vm ended with status %d" % status
        else:
            verdict, reason = "error", "scripts/vm ended with status %d; %s" % (status, said or "tagscope told no result")
        result = {
            "id": self.run["id"], "scenario": self.run["scenario"], "params": self.run["params"],
            "machine": self.run["machine"], "label": self.run["label"], "seed": self.run["seed"],
            "repetition": self.run["repetition"], "expect": self.run["expect"], "verdict": verdict,
            "reason": reason, "status": status, "results": counts, "failures": failures, "measures": measures,
            "seconds": ns / 1e9, "wall_seconds": round(self.seconds(), 3), "started": int(self.started),
            "host": socket.gethostname(), "kernel": self.kernel, "command": self.command,
        }
        recording = self.attempt + "/recording.rec"
        if self.folder.judge(self.run, result)[0] in ("ok", "skipped") and os.path.exists(recording):
            os.unlink(recording)
        write(self.attempt + "/result.json", json.dumps(result, indent=1) + "\n")
        self.folder.keep(self.run, self.attempt)
        return self.folder.result(self.run)

    def events(self):
        verdict, reason, ns = None, "", 0
        counts, failures, measures = {"passed": 0, "failed": 0, "skipped": 0}, [], {}
        with open(self.attempt + "/events.json", encoding="utf-8", errors="replace") as f:
            for line in f:
                try:
                    event = json.loads(line)
                    kind = event.get("event")
                except (ValueError, AttributeError):
                    # The machine ended in the middle of a line.
                    continue
                if kind == "result":
                    counts["skipped" if event.get("skipped") else "passed" if event["ok"] else "failed"] += 1
                    if not event["ok"]:
                        failures.append(event["text"] + (": " + event["detail"] if event.get("detail") else ""))
                elif kind == "measure" and event["value"] is not None:
                    measures[event["name"]] = {"value": event["value"], "unit": event["unit"]}
                elif kind == "end":
                    verdict, reason, ns = event["verdict"], event.get("reason", ""), event["ns"]
        return verdict, reason, counts, failures, measures, ns

    def said(self):
        """What scripts/vm said of the end; the end of the kernel log comes before it."""
        said = ""
        with open(self.attempt + "/console.log", encoding="utf-8", errors="replace") as f:
            for line in f:
                if line.startswith("vm: ") and not line.startswith(NOT_SAID):
                    said = line[4:].strip()
        return said
