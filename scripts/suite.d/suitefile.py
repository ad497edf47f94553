# SPDX-License-Identifier: GPL-2.0-only
"""A suite file: read, checked, and turned into the list of its runs."""
import datetime
import difflib
import itertools
import json
import os
import re
import subprocess
import tomllib

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
VERDICTS = ("pass", "fail", "error", "skip")
MAX_RUNS = 100000
# What a machine needs besides its RAM.
OVERHEAD = 256 << 20
# The keys of a machine, each with its default and the option of scripts/vm.
MACHINE = {
    "kernel": ("patched", "--kernel"),
    "policy": ("", "--policy"),
    "memory": ("1G", "--mem"),
    "cpus": (2, "--smp"),
    "block_size": (4096, "--block-size"),
    "regions": (1, "--regions"),
    "swap": ("none", "--swap"),
    "disk": ("none", "--disk"),
    "disk_rate": ("none", "--disk-rate"),
    "page_size": ("4K", None),
    "tag_storage": ("dram", "--tag-storage"),
    "force_node": (False, "--force-node"),
    "kvm": (False, "--kvm"),
    "icount": (False, "--icount"),
    "append": ("", "--append"),
}
# Measures in these units are the better the smaller they are.
TIMES = ("ns", "us", "ms", "s", "instructions")


class SuiteError(Exception):
    """Something that the user has to mend; its text says where, what and how."""


def line_of(text, path):
    """The number of the line that says what is at PATH, or of the nearest thing around it."""
    best, deepest, table, counts = 1, 0, (), {}
    for number, line in enumerate(text.split("\n"), 1):
        header = re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line)
        key = re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line)
        if header:
            table = ()
            words = [w.strip(" \"'") for w in header.group(2).split(".")]
            for i, word in enumerate(words):
                table += (word,)
                if i == len(words) - 1 and header.group(1) == "[[":
                    counts[table] = counts.get(table, -1) + 1
                if table in counts:
                    table += (counts[table],)
            here = table
        elif key:
            here = table + tuple(w.strip("\"'") for w in key.group(1).split("."))
        else:
            continue
        if here == tuple(path[:len(here)]) and len(here) > deepest:
            best, deepest = number, len(here)
    return best


class Node:
    """A table of the file, and where it stands."""

    def __init__(self, suite, path, value):
        self.suite, self.path, self.value = suite, path, value

    def error(self, key, reason, fix):
        path = self.path + ((key,) if key else ())
        words = ""
        for p in path:
            words += "[%d]" % (p + 1) if isinstance(p, int) else ("." if words else "") + p
        return SuiteError("%s:%d: %s%s; %s" % (self.suite.name, line_of(self.suite.text, path),
                                               words + ": " if words else "", reason, fix))

    def only(self, known):
        for key in self.value:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                raise self.error(key, "there is no such key here",
                                 "did you mean '%s'?" % near[0] if near else "there are: " + ", ".join(known))

    def get(self, key, kind, default, what):
        value = self.value.get(key, default)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise self.error(key, "%s is not %s" % (shown(value), what), "write %s" % what)
        return value

    def number(self, key, default, low, high):
        what = "a whole number, %d to %d" % (low, high)
        value = self.get(key, (int, type(default)), default, what)
        if isinstance(value, bool) or (value is not None and not low <= value <= high):
            raise self.error(key, "%s is not %s" % (shown(value), what), "write %s" % what)
        return value

    def word(self, key, default, words):
        value = self.value.get(key, default)
        if value not in words:
            raise self.error(key, "%s is none of %s" % (shown(value), ", ".join(words)), "write one of these")
        return value

    def table(self, key):
        return Node(self.suite, self.path + (key,), self.get(key, dict, {}, "a table"))

    def tables(self, key):
        value = self.get(key, list, [], "a list of tables")
        for i, item in enumerate(value):
            if not isinstance(item, dict):
                raise self.error(key, "number %d is not a table" % (i + 1),
                                 "write [[%s]], or { key = value } in the list" % key)
        return [Node(self.suite, self.path + (key, i), item) for i, item in enumerate(value)]


def shown(value):
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "'%s'" % value
    return json.dumps(value, default=str)


def listed(value):
    return value if isinstance(value, list) else [value]


def size_of(text):
    """'512M' in bytes."""
    n, unit = re.fullmatch(r"(\d+)([KMG]?)", str(text).upper()).groups()
    return int(n) << {"": 0, "K": 10, "M": 20, "G": 30}[unit]


def label(machine):
    """What tells this machine from the default one, in words."""
    words = []
    for key, (default, _) in MACHINE.items():
        value = machine[key]
        if key == "kernel":
            words.append(value)
        elif value != default:
            words.append(key if value is True else "%s=%s" % (key, value))
    return " ".join(words)


class Suite:
    def __init__(self, path, tagscope, kernel=None):
        self.name, self.tagscope = os.path.relpath(path), tagscope
        # The Images that machines have: by the word for the kernel, the path.
        self.images = {"patched": kernel} if kernel else {}
        self.left_out = set()
        self.good_machines = set()
        done = subprocess.run([tagscope, "list", "--json"], capture_output=True, text=True, check=True)
        self.limits = {s["name"]: s["time_limit_s"] for s in json.loads(done.stdout)}
        try:
            with open(path, encoding="utf-8") as f:
                self.text = f.read()
        except (OSError, UnicodeDecodeError) as e:
            why = e.strerror if isinstance(e, OSError) else "it is no text in UTF-8"
            raise SuiteError("%s: cannot be read: %s; name a suite file, such as suites/quick.toml"
                             % (self.name, why)) from e
        try:
            top = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as e:
            where = re.search(r"\(at line (\d+), column (\d+)\)", str(e))
            line = where.group(1) if where else self.text.count("\n") + 1
            raise SuiteError("%s:%s: this is no TOML: %s; strings have quotes, tables [brackets]"
                             % (self.name, line, re.sub(r" \(at .*", "", str(e)))) from e
        self.top = Node(self, (), top)
        self.top.only(["summary", "seed", "repeat", "time_limit", "record", "machine", "exclude", "tests",
                       "quarantine", "compare"])
        self.summary = self.top.get("summary", str, "", "a string")
        self.seed = self.top.number("seed", None, 0, 2 ** 64 - 1)
        self.quarantine = [self.quarantined(q) for q in self.top.tables("quarantine")]
        self.compare = self.thresholds(self.top.table("compare"))
        if not self.top.tables("tests"):
            raise self.top.error("tests", "the suite has no tests", "add a table [[tests]] with scenarios = [...]")

    def runs(self, seed, repeat):
        """All runs, each once, the first repetition of each before the second of any."""
        known = {}
        for test in self.top.tables("tests"):
            for run in self.runs_of(test, seed, repeat):
                machine = dict(run["machine"], cpus=processors(run["machine"]))
                first = known.setdefault(json.dumps([run["scenario"], run["params"], machine, run["seed"]]), run)
                for key in ("expect", "time_limit"):
                    if run[key] != first[key]:
                        raise test.error(key, "an earlier test has a run of %s on this machine and says %s, not %s"
                                         % (run["scenario"], shown(first[key]), shown(run[key])),
                                         "leave the run out of one of them")
            if len(known) > MAX_RUNS:
                raise test.error(None, "with this the suite has more than %d runs" % MAX_RUNS,
                                 "leave out values of the matrix, or repeat less")
        out = list(known.values())
        out.sort(key=lambda run: run["repetition"])
        for i, run in enumerate(out):
            run["id"] = "%05d-%s" % (i + 1, run["scenario"])
        return out

    def runs_of(self, test, seed, repeat):
        test.only(["scenarios", "kind", "group", "parameters", "seeds", "repeat", "expect", "time_limit",
                   "record", "machine", "exclude"])
        expect = test.word("expect", "pass", VERDICTS)
        limit = test.number("time_limit", self.top.number("time_limit", None, 1, 1000000), 1, 1000000)
        record = test.get("record", bool, self.top.get("record", bool, True, "true or false"), "true or false")
        times = repeat or test.number("repeat", self.top.number("repeat", 1, 1, 10000), 1, 10000)
        seeds = listed(test.value.get("seeds", seed))
        if not seeds or len(set(map(str, seeds))) < len(seeds) or not all(isinstance(s, int) and not isinstance(s, bool) and 0 <= s < 2 ** 64 for s in seeds):
            raise test.error("seeds", "%s is no list of different whole numbers" % shown(seeds),
                             "write seeds = [1, 2]")
        out = []
        for scenario, params in self.scenarios(test):
            for machine in self.machines(test):
                for first in seeds:
                    for n in range(times):
                        out.append({
                            "scenario": scenario, "params": params, "machine": machine, "label": label(machine),
                            "seed": (first + n) % 2 ** 64, "repetition": n + 1, "expect": expect,
                            "time_limit": limit, "limit": limit or self.limits[scenario],
                            # Of exact figures nothing is to be a reading's.
                            "record": record and not machine["icount"],
                        })
        return out

    def scenarios(self, test):
        """(scenario, parameters) of the test, as tagscope itself lists them."""
        patterns = listed(test.value.get("scenarios", []))
        if not all(isinstance(p, str) for p in patterns):
            raise test.error("scenarios", "not all of them are strings", 'write scenarios = ["mmap", "swap*"]')
        command = [self.tagscope, "suite", "--list"]
        for key in ("kind", "group"):
            if key in test.value:
                command += ["--" + key, test.get(key, str, "", "a string")]
        if not patterns and len(command) == 3:
            raise test.error("scenarios", "neither scenarios, kind nor group",
                             'write scenarios = ["*"] for all there are')
        params = test.table("parameters")
        for key, values in params.value.items():
            values = [str(v).lower() if isinstance(v, bool) else v for v in listed(values)]
            if not values or not all(isinstance(v, (str, int)) and "," not in str(v) and str(v).isprintable()
                                     for v in values):
                raise params.error(key, "%s is neither a value nor a list of values" % shown(values),
                                   "write %s = [8, 32]" % key)
            command += ["--matrix", "%s=%s" % (key, ",".join(str(v) for v in values))]
        done = subprocess.run(command + ["--"] + patterns, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().split("\n")[-1]
            said = re.sub(r"^tagscope suite: | \(try: .*", "", said)
            param = re.search(r"parameter '?([\w-]+)", said)
            option = re.match(r"--(kind|group) ", said)
            at, key = (params, param.group(1)) if param else (test, option.group(1) if option else "scenarios")
            raise at.error(key, said, "'tagscope list' and 'tagscope describe NAME' tell what there is")
        for line in done.stdout.split("\n"):
            if line:
                name, *values = line.split(" ")
                yield name, dict(v.split("=", 1) for v in values)

    def machines(self, test):
        """All combinations, without those that are excluded."""
        nodes = [self.top.table("machine"), test.table("machine")]
        axes = {key: [default] for key, (default, _) in MACHINE.items()}
        for node in nodes:
            node.only(list(MACHINE))
            for key, values in node.value.items():
                if not listed(values):
                    raise node.error(key, "an empty list leaves no machine", "name a value, or leave the key out")
                axes[key] = [self.value(node, key, v) for v in listed(values)]
        excluded = self.top.tables("exclude") + test.tables("exclude")
        for node in excluded:
            node.only(list(MACHINE))
        rules = [{k: [self.value(n, k, v) for v in listed(vs)] for k, vs in n.value.items()} for n in excluded]
        found = []
        for values in itertools.product(*axes.values()):
            machine = dict(zip(axes, values))
            if any(rule and all(machine[k] in vs for k, vs in rule.items()) for rule in rules):
                continue
            if machine["kernel"] in self.images and machine["page_size"] != "4K":
                self.left_out.add(machine["page_size"])
                continue
            if "/" in machine["kernel"]:
                self.images[machine["kernel"]] = os.path.abspath(
                    os.path.join(os.path.dirname(self.name), machine["kernel"]))
            self.possible(nodes[1] if nodes[1].value else nodes[0], machine)
            found.append(machine)
        if not found and not self.left_out:
            raise test.error("exclude", "it leaves no machine", "exclude less")
        return found

    def value(self, node, key, value):
        """The value of a machine's key as it is kept, or an error."""
        default = MACHINE[key][0]
        if isinstance(default, bool):
            good, what = isinstance(value, bool), "true or false"
        elif isinstance(default, int):
            good, what = isinstance(value, int) and not isinstance(value, bool), "a number such as %d" % default
        else:
            good, what = isinstance(value, str) and value.isprintable(), 'a line such as "%s"' % (default or "cma")
        if good and key == "swap":
            good = value == "none" or re.fullmatch(r"(disk:)?[1-9]\d*[KMG]", value)
            what = 'a size such as "256M", "disk:256M", or "none"'
        if good and key == "disk":
            good = value == "none" or re.fullmatch(r"((ext4|ext4-1k|xfs):)?[1-9]\d*[KMG]", value)
            what = 'a size such as "128M", "xfs:300M", or "none"'
        if good and key == "disk_rate":
            good = value == "none" or re.fullmatch(r"[1-9]\d*[KMG]?", value)
            what = 'bytes a second such as "128K", or "none"'
        if good and key == "page_size":
            good, what = value in ("4K", "16K", "64K"), '"4K", "16K" or "64K"'
        if good and key == "kernel":
            good = value in ("patched", "vanilla", "debug", "kasan") or "/" in value
            what = '"patched", "vanilla", "debug", "kasan", or the path of an Image'
        if not good:
            raise node.error(key, "%s is not %s" % (shown(value), what), "write %s" % what)
        return value

    def possible(self, node, machine):
        """The machine itself knows what it can be."""
        if machine["kernel"] == "vanilla" and machine["policy"] not in ("", "off"):
            raise node.error("policy", "the vanilla kernel has no policy '%s'" % machine["policy"],
                             'add exclude = [{ kernel = "vanilla", policy = "%s" }]' % machine["policy"])
        if machine["page_size"] != "4K" and "/" in machine["kernel"]:
            raise node.error("page_size", "an Image has the pages it was built with",
                             "leave page_size out, or name patched, vanilla, debug or kasan as the kernel")
        if machine["block_size"] % size_of(machine["page_size"]):
            raise node.error("block_size", "blocks of %d bytes are not made of whole pages of %s"
                             % (machine["block_size"], machine["page_size"]),
                             "name multiples of %d" % size_of(machine["page_size"]))
        # All that --print-layout looks at.
        parts = ("policy", "memory", "cpus", "block_size", "regions", "swap", "disk", "disk_rate",
                 "tag_storage")
        key = tuple(machine[p] for p in parts)
        if key in self.good_machines:
            return
        layout = {k: machine[k] if k in parts else default for k, (default, _) in MACHINE.items()}
        done = subprocess.run([TOP + "/scripts/vm", "--print-layout"] + vm_options(layout),
                              capture_output=True, text=True, check=False)
        if done.returncode:
            said = re.sub(r"^vm: | \(try --help\)$", "", done.stderr.strip().split("\n")[-1])
            option = said.split(":")[0]
            at = next((k for k, (_, o) in MACHINE.items() if o == option), None)
            raise node.error(at, said, "'scripts/vm --help' tells what machines there are (this one: %s)"
                             % label(machine))
        self.good_machines.add(key)

    def quarantined(self, node):
        node.only(["scenario", "machine", "reason", "until"])
        machine = node.table("machine")
        machine.only(list(MACHINE))
        until = node.get("until", datetime.date, None, "a date such as 2030-01-31, without quotes")
        reason = node.get("reason", str, "", "a string")
        if not reason.strip():
            raise node.error("reason", "a quarantine without a reason", 'write reason = "why, and who mends it"')
        scenario = node.get("scenario", str, None, "a scenario's name or pattern")
        return {
            "scenario": scenario, "reason": reason, "until": until.isoformat()[:10],
            "machine": {k: [self.value(machine, k, v) for v in listed(vs)] for k, vs in machine.value.items()},
        }

    def thresholds(self, node):
        """For tagscope compare: how far a measure may move."""
        node.only(["threshold", "measures"])

        def percent(at, default):
            value = at.value.get("threshold", default)
            number = re.fullmatch(r"(\d+(\.\d+)?) ?%", value) if isinstance(value, str) else None
            if not number:
                raise at.error("threshold", "%s is no percentage" % shown(value), 'write threshold = "10%"')
            return float(number.group(1))

        rules = []
        for m in node.tables("measures"):
            m.only(["scenario", "name", "threshold", "worse"])
            rules.append({
                "scenario": m.get("scenario", str, "*", "a pattern"), "name": m.get("name", str, "*", "a pattern"),
                "threshold": percent(m, None), "worse": m.word("worse", "unit", ["unit", "more", "less", "any", "none"]),
            })
        return {"threshold": percent(node, "25%"), "measures": rules}


def processors(machine):
    """With icount one, for figures that can be repeated."""
    return 1 if machine["icount"] else machine["cpus"]


def needs(run):
    """Bytes of memory."""
    return size_of(run["machine"]["memory"]) + OVERHEAD


def vm_options(machine):
    out = []
    for key, (default, option) in MACHINE.items():
        value = processors(machine) if key == "cpus" else machine[key]
        if not option or value == default or value == "none":
            continue
        out += [option] if value is True else [option, str(value)]
    return out
