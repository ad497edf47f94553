# SPDX-License-Identifier: GPL-2.0-only
"""The folder of results: the plan, a folder for each run that has ended, and what is made of them."""
import datetime
import fnmatch
import glob
import hashlib
import html
import json
import os
import shutil
import socket
import xml.etree.ElementTree as ET

from suitefile import SuiteError

# What scripts/vm ends with where its machine could not be started. That says nothing of the run: it is reported as an
# error, and run again by whoever can.
NOT_STARTED = 126
# What it ends with when the scenario has told its verdict.
STATUS_OF = {"pass": 0, "fail": 1, "error": 3, "skip": 4}
# What becomes of a run, in the order in which it is told.
STATES = ("failed", "error", "missing", "quarantined", "skipped", "ok")


def write(path, text):
    """All of it or nothing is there, whatever happens meanwhile."""
    new = "%s.%d" % (path, os.getpid())
    with open(new, "w", encoding="utf-8") as f:
        f.write(text)
    sync(new)
    os.replace(new, path)


def sync(path):
    """What is renamed before it is on the disk may be empty after a power failure."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def digest(runs, images):
    """What has the same digest has the same runs, with the same kernels."""
    what = [runs, {name: image["digest"] for name, image in images.items()}]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def image_of(path):
    """An Image as the plan has it."""
    try:
        with open(path, "rb") as f:
            return {"path": path, "digest": hashlib.file_digest(f, "sha256").hexdigest()[:16]}
    except OSError as e:
        raise SuiteError("%s: cannot be read: %s; 'scripts/kernel build --tree DIR' prints the path of an Image"
                         % (path, e.strerror)) from e


def host_word():
    return socket.gethostname().split(".")[0]


def title(run):
    words = [run["scenario"]] + ["%s=%s" % p for p in run["params"].items()]
    return " ".join(words)


def fit(text):
    """TEXT without what XML cannot hold."""
    return "".join(c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "\ufffd"
                   for c in text)


def line(text):
    """TEXT as one line, whatever a guest has said."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))


def covers(quarantine, run):
    return fnmatch.fnmatchcase(run["scenario"], quarantine["scenario"]) and \
        all(run["machine"][k] in vs for k, vs in quarantine["machine"].items())


class Folder:
    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.plan = None

    @property
    def runs(self):
        """What is to be run here: of a shard its part of the plan."""
        if not self.plan["shard"]:
            return self.plan["runs"]
        part, parts = map(int, self.plan["shard"].split("/"))
        return self.plan["runs"][part - 1::parts]

    def run_path(self, ident, *more):
        return os.path.join(self.path, "runs", ident, *more)

    def image_path(self, image):
        return os.path.join(self.path, "images", image["digest"], "Image")

    def take_image(self, image, source):
        """Copy the Image SOURCE, and the configuration beside it: other hosts need it, and --resume needs the same."""
        path = self.image_path(image)
        if os.path.exists(path):
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        config = os.path.join(os.path.dirname(source), "config")
        if os.path.exists(config):
            shutil.copyfile(config, os.path.join(os.path.dirname(path), "config"))
        shutil.copyfile(source, path + ".new")
        sync(path + ".new")
        os.replace(path + ".new", path)

    def attempt(self, ident):
        """A new folder for what may become the run's; of others, here or elsewhere, none is in the way."""
        path = self.run_path(".%s.%s.%d" % (ident, host_word(), os.getpid()))
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def stale(self):
        """Remove what programs of this host left that were killed."""
        for path in glob.glob(os.path.join(glob.escape(self.path), "runs", ".*")):
            words = path.rsplit(".", 2)
            if words[-2:-1] == [host_word()] and not os.path.exists("/proc/" + words[-1]):
                shutil.rmtree(path, ignore_errors=True)

    def create(self, plan):
        if os.path.exists(self.path) and os.listdir(self.path):
            raise SuiteError("%s: is there already, and not empty; --resume goes on with it, or name another "
                             "folder with --output" % self.path)
        self.plan = plan
        try:
            os.makedirs(self.path + "/runs", exist_ok=True)
            self.save()
        except OSError as e:
            raise SuiteError("%s: cannot be written: %s; name another folder with --output"
                             % (self.path, e.strerror)) from e

    def save(self):
        write(self.path + "/plan.json", json.dumps(self.plan, indent=1) + "\n")
        write(self.path + "/jobs", "".join(run["id"] + "\n" for run in self.runs))

    def open(self):
        try:
            with open(self.path + "/plan.json", encoding="utf-8") as f:
                self.plan = json.load(f)
            self.plan["runs"][0]["id"]  # pylint: disable=pointless-statement
        except (OSError, ValueError, KeyError, IndexError, TypeError) as e:
            raise SuiteError("%s: is no folder of a suite: its plan.json cannot be read (%s); name a folder that "
                             "scripts/suite has made" % (self.path, e)) from e
        return self

    def result(self, run):
        """What came out of a run, or None: it was not run, or what there is is damaged."""
        try:
            with open(self.run_path(run["id"], "result.json"), encoding="utf-8") as f:
                result = json.load(f)
        except (FileNotFoundError, ValueError):
            return None
        return result if isinstance(result, dict) and "verdict" in result else None

    def done(self, run):
        """Whether it need not be run again: it has a result, and not only a machine that did not start."""
        result = self.result(run)
        return bool(result) and result["status"] != NOT_STARTED

    def keep(self, run, attempt):
        """Make ATTEMPT, a folder, the run's; if somebody else was first, that one stays."""
        for name in os.listdir(attempt):
            sync(os.path.join(attempt, name))
        sync(attempt)
        if not self.done(run):
            shutil.rmtree(self.run_path(run["id"]), ignore_errors=True)
        try:
            os.rename(attempt, self.run_path(run["id"]))
        except OSError:
            if not self.result(run):
                raise
            shutil.rmtree(attempt, ignore_errors=True)

    def merge(self, others):
        """Take over the runs of other folders of the same suite."""
        folders = [Folder(other).open() for other in others]
        if os.path.exists(self.path + "/plan.json"):
            self.open()
        else:
            self.plan = folders[0].plan
        for folder in folders:
            if folder.plan["digest"] != self.plan["digest"]:
                raise SuiteError("%s: is of another suite, or of another seed, than the others; merge what was made "
                                 "from one file, with one --seed" % folder.path)
        # Each knows the runs of all, so that those of one that is not here are missing.
        self.plan = dict(self.plan, shard=None)
        if os.path.exists(self.path + "/plan.json"):
            self.save()
        else:
            self.create(self.plan)
        for folder in folders:
            for image in self.plan["images"].values():
                if os.path.exists(folder.image_path(image)):
                    self.take_image(image, folder.image_path(image))
            for run in folder.runs:
                if folder.done(run) and not self.done(run) or folder.result(run) and not self.result(run):
                    new = self.attempt(run["id"])
                    shutil.copytree(folder.run_path(run["id"]), new, dirs_exist_ok=True)
                    self.keep(run, new)

    def judged(self):
        """(run, result or None, state, why) of each run of the plan."""
        return [(run, result) + self.judge(run, result)
                for run, result in ((run, self.result(run)) for run in self.runs)]

    def judge(self, run, result):
        """(state, why) of a run."""
        if not result:
            return "missing", "its result.json cannot be read" if os.path.exists(self.run_path(run["id"])) \
                else "it was not run"
        verdict, why = result["verdict"], result["reason"]
        # A panic, a warning or a hang is never what was expected: the scenario has to tell that itself.
        own = result["status"] == STATUS_OF.get(verdict)
        if verdict == run["expect"] and own:
            return "ok", why
        if verdict == "skip":
            return "skipped", why
        state = "error" if verdict == "error" else "failed"
        if run["expect"] != "pass":
            what = "; " + verdict if own else " of the scenario, not of the machine"
            why = "expected: %s%s%s" % (run["expect"], what, ": " + why if why else "")
        for q in self.plan["quarantine"]:
            if covers(q, run):
                if datetime.date.today().isoformat() <= q["until"]:
                    return "quarantined", "until %s: %s (%s)" % (q["until"], q["reason"], why)
                why += " (its quarantine ended on %s: %s)" % (q["until"], q["reason"])
        return state, why

    def report(self):
        """Write everything that is made of the results. The exit status, and lines for the terminal."""
        judged = self.judged()
        if self.plan["until_fail"] and any(j[2] in ("failed", "error") for j in judged):
            # What was not run any more is not missing.
            judged = [j for j in judged if j[2] != "missing"]
        counts = {state: sum(j[2] == state for j in judged) for state in STATES}
        groups = self.groups(judged)
        write(self.path + "/results.jsonl", "".join(
            json.dumps(dict(result or run, state=state, why=why)) + "\n" for run, result, state, why in judged))
        write(self.path + "/compare.json", json.dumps(self.plan["compare"], indent=1) + "\n")
        self.ktap(judged)
        self.junit(judged)
        self.page(judged, counts, groups)
        lines = ["%s  %s%s: %s" % (state, title(run), where(run), line(why))
                 for s in STATES[:3] for run, result, state, why in judged if state == s]
        lines = lines[:20] + (["... and %d more" % (len(lines) - 20)] if len(lines) > 20 else [])
        for g in groups:
            if g["flaky"]:
                lines.append("flaky   %s%s: %d of %d failed; seeds: %s" % (
                    g["title"], g["where"], g["failed"], g["ran"], " ".join(g["seeds"])))
        lines += ["quarantine  %s (%s): %s" % (q["scenario"], line(q["reason"]), what)
                  for q, what in self.quarantines(judged) if what]
        words = ["%d %s" % (counts[s], s) for s in reversed(STATES) if counts[s]]
        lines.append("%d runs: %s; %s/summary.html" % (len(judged), ", ".join(words), near(self.path)))
        status = 1 if counts["failed"] else 3 if counts["error"] or counts["missing"] else \
            0 if counts["ok"] or counts["quarantined"] else 4
        return status, lines

    def quarantines(self, judged):
        """(quarantine, what became of it) of each."""
        for q in self.plan["quarantine"]:
            ran = [state for run, result, state, _ in judged if result and state != "skipped" and covers(q, run)]
            if not any(covers(q, run) for run in self.plan["runs"]):
                yield q, "no run of this suite is meant"
            elif ran and set(ran) == {"ok"}:
                yield q, "not needed: passed %d of %d" % (len(ran), len(ran))
            else:
                yield q, ""

    @staticmethod
    def groups(judged):
        """The repetitions of each: how many failed, and with which seeds."""
        by = {}
        for run, result, state, _ in judged:
            key = (title(run), where(run))
            g = by.setdefault(key, {"title": key[0], "where": key[1], "ran": 0, "failed": 0, "seeds": []})
            g["ran"] += bool(result) and state != "skipped"
            # One that was excused has failed all the same.
            if state in ("failed", "error", "quarantined"):
                g["failed"] += 1
                g["seeds"].append(str(run["seed"]))
        for g in by.values():
            g["flaky"] = 0 < g["failed"] < g["ran"]
        return list(by.values())

    def ktap(self, judged):
        out = ["KTAP version 1", "1..%d" % len(judged)]
        for i, (run, result, state, why) in enumerate(judged, 1):
            name = "%s%s seed %d" % (title(run), where(run), run["seed"])
            for f in (result or {}).get("failures", []):
                out.append("# " + line(f))
            skip = ""
            if state in ("skipped", "quarantined"):
                skip = " # SKIP " + line(why).replace("#", "\\#")
            elif state != "ok":
                out.append("# %s: %s" % (state, line(why)))
            out.append("%sok %d %s%s" % ("not " if state in STATES[:3] else "", i, name.replace("#", "\\#"), skip))
        write(self.path + "/results.ktap", "\n".join(out) + "\n")

    def junit(self, judged):
        top = ET.Element("testsuites", name=self.plan["name"])
        suites = {}
        for run, result, state, why in judged:
            if run["label"] not in suites:
                suites[run["label"]] = ET.SubElement(top, "testsuite", name=run["label"])
                props = ET.SubElement(suites[run["label"]], "properties")
                for key, value in run["machine"].items():
                    ET.SubElement(props, "property", name=key, value=str(value))
            case = ET.SubElement(suites[run["label"]], "testcase", classname=run["label"],
                                 name="%s seed %d" % (title(run), run["seed"]),
                                 time="%.3f" % (result["wall_seconds"] if result else 0))
            detail = "\n".join([why] + (result["failures"] if result else []))
            if state == "failed":
                ET.SubElement(case, "failure", message=why, type=result["verdict"]).text = detail
            elif state in ("error", "missing"):
                ET.SubElement(case, "error", message=why, type=state).text = detail
            elif state in ("skipped", "quarantined"):
                ET.SubElement(case, "skipped", message=why)
            if result:
                ET.SubElement(case, "system-out").text = "runs/%s: %s; on %s" % (
                    run["id"], ", ".join(sorted(os.listdir(self.run_path(run["id"])))), result["host"])
        for label, suite in suites.items():
            mine = [j for j in judged if j[0]["label"] == label]
            self.totals(suite, mine)
            began = [j[1]["started"] for j in mine if j[1]]
            if began:
                suite.set("timestamp", datetime.datetime.fromtimestamp(min(began), datetime.timezone.utc).strftime(
                    "%Y-%m-%dT%H:%M:%S"))
            suite.set("hostname", socket.gethostname())
        self.totals(top, judged)
        ET.indent(top)
        write(self.path + "/junit.xml",
              '<?xml version="1.0" encoding="UTF-8"?>\n' + fit(ET.tostring(top, encoding="unicode")) + "\n")

    @staticmethod
    def totals(element, judged):
        element.set("tests", str(len(judged)))
        for name, states in (("failures", ("failed",)), ("errors", ("error", "missing")),
                             ("skipped", ("skipped", "quarantined"))):
            element.set(name, str(sum(j[2] in states for j in judged)))
        element.set("time", "%.3f" % sum(j[1]["wall_seconds"] for j in judged if j[1]))

    def page(self, judged, counts, groups):
        """The summary: one page that needs nothing else."""
        esc = html.escape
        colors = {"failed": "#b00", "error": "#b00", "missing": "#b60", "quarantined": "#850", "skipped": "#666",
                  "ok": "#070"}
        out = ["<!DOCTYPE html><html lang=en><meta charset=utf-8><title>%s</title>" % esc(self.plan["name"]),
               "<style>body{font:15px sans-serif;margin:2em;max-width:80em}td,th{padding:2px 8px;text-align:left;"
               "vertical-align:top}tr:nth-child(even){background:#8881}table{border-collapse:collapse}"]
        out += [".%s{color:%s;font-weight:bold}" % c for c in colors.items()]
        out += ["</style><h1>%s</h1><p>%s" % (esc(self.plan["name"]), esc(self.plan["summary"])), "<p>"]
        out.append(", ".join("<span class=%s>%d %s</span>" % (s, counts[s], s) for s in STATES if counts[s]))
        hosts = sorted({j[1]["host"] for j in judged if j[1]})
        out.append("<p>Seed %d%s. Hosts: %s. Kernels: %s." % (
            self.plan["seed"], ", shard " + self.plan["shard"] if self.plan["shard"] else "",
            esc(", ".join(hosts) or "none"),
            esc(", ".join(sorted({j[1]["kernel"] for j in judged if j[1]})) or "none")))
        flaky = [g for g in groups if g["flaky"]]
        if flaky:
            out.append("<h2>Flaky</h2><table><tr><th>what<th>machine<th>failed<th>seeds")
            out += ["<tr><td>%s<td>%s<td>%d of %d<td>%s" % (
                esc(g["title"]), esc(g["where"]), g["failed"], g["ran"], " ".join(g["seeds"])) for g in flaky]
            out.append("</table>")
        if self.plan["quarantine"]:
            out.append("<h2>Quarantine</h2><table><tr><th>scenario<th>until<th>reason<th>")
            out += ["<tr><td>%s<td>%s<td>%s<td>%s" % (esc(q["scenario"]), q["until"], esc(q["reason"]), what)
                    for q, what in self.quarantines(judged)]
            out.append("</table>")
        out.append("<h2>Runs</h2><table><tr><th>state<th>run<th>machine<th>seed<th>seconds<th>results<th>why<th>files")
        for run, result, state, why in sorted(judged, key=lambda j: (STATES.index(j[2]), j[0]["id"])):
            out.append("<tr><td class=%s>%s<td>%s<td>%s<td>%d" % (
                state, state, esc(title(run)), esc(run["label"]), run["seed"]))
            if result:
                out.append("<td>%.1f<td>%d of %d<td>%s<td>" % (
                    result["wall_seconds"], result["results"]["passed"],
                    result["results"]["passed"] + result["results"]["failed"],
                    "<br>".join(esc(t) for t in ([why] if why else []) + result["failures"][:10])))
                out += ["<a href='runs/%s/%s'>%s</a>" % (run["id"], f, f.split(".")[0])
                        for f in ("events.json", "console.log", "kernel.log", "recording.rec")
                        if os.path.exists(self.run_path(run["id"], f))]
            else:
                out.append("<td><td><td>%s<td>" % esc(why))
        out.append("</table></html>")
        write(self.path + "/summary.html", fit("\n".join(out)) + "\n")


def near(path):
    """A path as one would write it here."""
    short = os.path.relpath(path)
    return path if short.startswith("../..") else short


def where(run):
    """The machine, for one line of text."""
    return "" if run["label"] == "patched" else " [%s]" % run["label"]


def told(run, result, state, why):
    """A run that has ended, in one line."""
    return "%-12s%s%s seed %d, %.1f s%s" % (state.upper() if state in STATES[:3] else state, title(run), where(run),
                                            run["seed"], result["wall_seconds"], ": " + line(why) if why else "")
