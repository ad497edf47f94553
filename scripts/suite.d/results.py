# SPDX-License-Identifier: GPL-2.0-only
"""The folder of results: the plan, a folder for each run that has ended, and what is made of them."""
import datetime
import fnmatch
import hashlib
import html
import json
import os
import shutil
import socket
import xml.etree.ElementTree as ET

from suitefile import SuiteError

# What becomes of a run, in the order in which it is told.
STATES = ("failed", "error", "missing", "quarantined", "skipped", "ok")


def write(path, text):
    """All of it or nothing is there, whatever happens meanwhile."""
    new = "%s.%d" % (path, os.getpid())
    with open(new, "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(new, path)


def digest(runs):
    return hashlib.sha256(json.dumps(runs, sort_keys=True).encode()).hexdigest()[:16]


def title(run):
    words = [run["scenario"]] + ["%s=%s" % p for p in run["params"].items()]
    return " ".join(words)


def fit(text):
    """TEXT without what XML cannot hold."""
    return "".join(c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "\ufffd"
                   for c in text)


class Folder:
    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.plan = None

    def run_path(self, ident, *more):
        return os.path.join(self.path, "runs", ident, *more)

    def create(self, plan):
        if os.path.exists(self.path) and os.listdir(self.path):
            raise SuiteError("%s: is there already, and not empty; --resume goes on with it, or name another "
                             "folder with --output" % self.path)
        self.plan = plan
        try:
            os.makedirs(self.path + "/runs", exist_ok=True)
            write(self.path + "/plan.json", json.dumps(plan, indent=1) + "\n")
            write(self.path + "/jobs", "".join(run["id"] + "\n" for run in plan["runs"]))
        except OSError as e:
            raise SuiteError("%s: cannot be written: %s; name another folder with --output"
                             % (self.path, e.strerror)) from e

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
        """What came out of a run, or None."""
        try:
            with open(self.run_path(run["id"], "result.json"), encoding="utf-8") as f:
                return json.load(f)
        except FileNotFoundError:
            return None
        except ValueError as e:
            raise SuiteError("%s: is no JSON: %s; remove the folder around it, and --resume runs it again"
                             % (self.run_path(run["id"], "result.json"), e)) from e

    def keep(self, ident, attempt, result):
        """Make ATTEMPT, a folder, the run's. False: somebody else was first, and that one stays."""
        write(os.path.join(attempt, "result.json"), json.dumps(result, indent=1) + "\n")
        try:
            os.rename(attempt, self.run_path(ident))
            return True
        except OSError:
            if not os.path.exists(self.run_path(ident, "result.json")):
                raise
            shutil.rmtree(attempt, ignore_errors=True)
            return False

    def merge(self, others):
        """Take over the runs of other folders of the same suite."""
        folders = [Folder(other).open() for other in others]
        if os.path.exists(self.path + "/plan.json"):
            self.open()
        else:
            self.plan = dict(folders[0].plan, runs=[], shard=None)
        for folder in folders:
            if folder.plan["digest"] != self.plan["digest"]:
                raise SuiteError("%s: is of another suite, or of another seed, than the others; merge what was made "
                                 "from one file, with one --seed" % folder.path)
        if not os.path.exists(self.path + "/plan.json"):
            self.create(self.plan)
        known = {run["id"]: run for run in self.plan["runs"]}
        for folder in folders:
            for run in folder.plan["runs"]:
                known[run["id"]] = run
                if folder.result(run) and not self.result(run):
                    # Of several that merge at once each has its own.
                    new = os.path.join(self.path, "runs", ".merge.%d" % os.getpid())
                    shutil.rmtree(new, ignore_errors=True)
                    shutil.copytree(folder.run_path(run["id"]), new)
                    os.rename(new, self.run_path(run["id"]))
        self.plan["runs"] = [known[k] for k in sorted(known)]
        write(self.path + "/plan.json", json.dumps(self.plan, indent=1) + "\n")
        write(self.path + "/jobs", "".join(run["id"] + "\n" for run in self.plan["runs"]))

    def judged(self):
        """(run, result or None, state, why) of each run of the plan."""
        return [(run, result) + self.judge(run, result)
                for run, result in ((run, self.result(run)) for run in self.plan["runs"])]

    def judge(self, run, result):
        """(state, why) of a run."""
        if not result:
            return "missing", "it was not run"
        verdict, why = result["verdict"], result["reason"]
        if verdict == run["expect"]:
            return "ok", why
        if verdict == "skip":
            return "skipped", why
        state = "error" if verdict == "error" else "failed"
        if run["expect"] != "pass":
            why = "expected: %s; %s%s" % (run["expect"], verdict, ": " + why if why else "")
        for q in self.plan["quarantine"]:
            if fnmatch.fnmatchcase(run["scenario"], q["scenario"]) and \
                    all(run["machine"][k] in vs for k, vs in q["machine"].items()):
                if datetime.date.today().isoformat() <= q["until"]:
                    return "quarantined", "until %s: %s (%s)" % (q["until"], q["reason"], why)
                why += " (its quarantine ended on %s: %s)" % (q["until"], q["reason"])
        return state, why

    def report(self, until_fail=False):
        """Write everything that is made of the results. The exit status, and lines for the terminal."""
        judged = self.judged()
        if until_fail:
            judged = [j for j in judged if j[1]]
        counts = {state: sum(j[2] == state for j in judged) for state in STATES}
        groups = self.groups(judged)
        write(self.path + "/results.jsonl", "".join(
            json.dumps(dict(result, state=state, why=why)) + "\n" for _, result, state, why in judged if result))
        write(self.path + "/compare.json", json.dumps(self.plan["compare"], indent=1) + "\n")
        self.ktap(judged)
        self.junit(judged)
        self.page(judged, counts, groups)
        lines = ["%s  %s%s: %s" % (state, title(run), where(run), why)
                 for s in STATES[:3] for run, result, state, why in judged if state == s]
        lines = lines[:20] + (["... and %d more" % (len(lines) - 20)] if len(lines) > 20 else [])
        for g in groups:
            if g["flaky"]:
                lines.append("flaky   %s%s: %d of %d failed; seeds: %s" % (
                    g["title"], g["where"], g["failed"], g["ran"], " ".join(g["seeds"])))
        words = ["%d %s" % (counts[s], s) for s in reversed(STATES) if counts[s]]
        lines.append("%d runs: %s; %s/summary.html" % (len(judged), ", ".join(words), near(self.path)))
        status = 1 if counts["failed"] else 3 if counts["error"] or counts["missing"] else \
            0 if counts["ok"] or counts["quarantined"] else 4
        return status, lines

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
                out.append("# " + f)
            skip = ""
            if state in ("skipped", "quarantined"):
                skip = " # SKIP " + why.replace("#", "\\#")
            elif state != "ok":
                out.append("# %s: %s" % (state, why))
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
                                 name=fit("%s seed %d" % (title(run), run["seed"])),
                                 time="%.3f" % (result["wall_seconds"] if result else 0))
            detail = fit("\n".join([why] + (result["failures"] if result else [])))
            if state == "failed":
                ET.SubElement(case, "failure", message=fit(why), type=result["verdict"]).text = detail
            elif state in ("error", "missing"):
                ET.SubElement(case, "error", message=fit(why), type=state).text = detail
            elif state in ("skipped", "quarantined"):
                ET.SubElement(case, "skipped", message=fit(why))
            if result:
                ET.SubElement(case, "system-out").text = "runs/%s: events.json, console.log, kernel.log; on %s" % (
                    run["id"], result["host"])
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
              '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(top, encoding="unicode") + "\n")

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
            out.append("<h2>Quarantine</h2><table><tr><th>scenario<th>until<th>reason")
            out += ["<tr><td>%s<td>%s<td>%s" % (esc(q["scenario"]), q["until"], esc(q["reason"]))
                    for q in self.plan["quarantine"]]
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
                        for f in ("events.json", "console.log", "kernel.log")]
            else:
                out.append("<td><td><td>%s<td>" % esc(why))
        out.append("</table></html>")
        write(self.path + "/summary.html", "\n".join(out) + "\n")


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
                                            run["seed"], result["wall_seconds"], ": " + why if why else "")
