# SPDX-License-Identifier: GPL-2.0-only
"""Attacks as tables: reads what `tagscope attack --json` printed, a file for each run of a technique."""
import itertools
import json
import statistics
import sys

MODES = (("on", "all mitigations on"), ("off", "all mitigations off"))
HEAD = ("technique", "blocks placed", "held", "p50", "p99", "max", "no attack: p99", "max", "replays", "outcome",
        "recovers")
TIMES = ("p50_ns", "p99_ns", "max_ns")
BYSTANDER = ("baseline", "on", "off")
SWITCHED = ("on", "pins_allowed", "choose_off", "replace_off", "off")
HEAD_CLEANCACHE = ("technique", "held", "copies taken", "p50", "p99", "max", "outcome", "recovers")


def duration(ns):
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def mode_of(technique, name):
    return next((m for m in technique["modes"] if m["mitigations"] == name), None)


def ways_of(mode):
    """Without who shares its pages with the attacker, which is another matter, and fails as it must."""
    return [v for v in mode["victims"] if v["name"] not in ("bystander", "shared")]


def victim(mode, name):
    return next((v for v in mode["victims"] if v["name"] == name), None)


def failed(ways):
    return f"{sum(v['sigbus'] > 0 for v in ways)} of {len(ways)} fail" if any(v["sigbus"] for v in ways) else ""


def line(cells):
    return "| " + " | ".join(cells) + " |"


def head(cells):
    return line(cells) + "\n|" + "---|" * len(cells)


def median(modes, way, key):
    """Of the runs in which that way was tried; 0 if it was in none."""
    values = [v[key] for v in (victim(m, way) for m in modes) if v]
    return statistics.median(values) if values else 0


def summary(runs, name):
    """What a technique came to in a mode: medians of its runs, of the way that is the slowest by them."""
    modes = [m for m in (mode_of(t, name) for t in runs) if m]
    if not modes:
        return None
    without = [m for m in (mode_of(t, "baseline") for t in runs) if m]
    s = {"name": runs[0]["name"], "mitigations": name, "runs": len(modes)}
    for key in ("placed_blocks", "held_blocks", "recalled_pages"):
        values = [m[key] for m in modes if key in m]
        if values:
            s[key] = statistics.median(values)
    ways = sorted({v["name"] for m in modes for v in ways_of(m)})
    # A huge page is 512 pages.
    s["way"] = max((w for w in ways if w != "huge"), key=lambda w: median(modes, w, "p99_ns"), default=None)
    if s["way"]:
        s.update({key: median(modes, s["way"], key) for key in TIMES})
        s["no_attack"] = {key: median(without, s["way"], key) for key in TIMES}
    s["replays"] = statistics.median(sum(n for v in ways_of(m) for n in v["replayed"].values()) for m in modes)
    s["ways"] = len(ways)
    s["failed"] = len({v["name"] for m in modes for v in ways_of(m) if v["sigbus"]})
    s["recovered"] = all(m["recovered"] for m in modes)
    return s


def times(s, keys=TIMES):
    return [duration(s[key]) for key in keys] if s else [""] * len(keys)


def outcome(s):
    failing = f"{s['failed']} of {s['ways']} fail" if s["failed"] else "ok" if s["ways"] else ""
    return [failing, "yes" if s["recovered"] else "NO"]


def figures_row(s):
    placed = f"{s['placed_blocks']:.0f}" if "placed_blocks" in s else ""
    return line([f"`{s['name']}`", placed, f"{s['held_blocks']:.0f}"] + times(s if s["way"] else None) +
                times(s.get("no_attack"), TIMES[1:]) + [f"{s['replays']:.0f}" if s["replays"] else "-"] + outcome(s))


def by_name(techniques):
    return [list(runs) for _, runs in itertools.groupby(techniques, key=lambda t: t["name"])]


def figures(techniques):
    for name, text in MODES:
        rows = [figures_row(s) for s in (summary(runs, name) for runs in by_name(techniques)) if s]
        if rows:
            print(f"{text[0].upper()}{text[1:]}:\n\n{head(HEAD)}\n" + "\n".join(rows), end="\n\n")


def figures_json(techniques):
    rows = [summary(runs, name) for runs in by_name(techniques) for name, _ in MODES]
    print(json.dumps({"version": 1, "figures": [s for s in rows if s]}, indent=1))


def cleancache_row(technique):
    s, without = summary([technique], "on"), mode_of(technique, "baseline")
    taken = f"{s['recalled_pages']:.0f} (without: {without['recalled_pages']:.0f})"
    return line([f"`{s['name']}`", f"{s['held_blocks']:.0f}", taken] + times(s if s["way"] else None) + outcome(s))


def cleancache(techniques):
    rows = [cleancache_row(t) for t in techniques if mode_of(t, "on")]
    if rows:
        print(head(HEAD_CLEANCACHE) + "\n" + "\n".join(rows), end="\n\n")


def effect(mode):
    """What the technique comes to in a mode; "" if that was not tried."""
    if not mode:
        return ""
    shared = victim(mode, "shared")
    held = "held" if mode["held_blocks"] else "-"
    return failed(ways_of(mode)) or held + (", shared" if shared and shared["sigbus"] else "")


def bystander(technique, name):
    """The p99 of somebody who tags nothing."""
    mode = mode_of(technique, name)
    return duration(victim(mode, "bystander")["p99_ns"]) if mode else ""


def mitigations(techniques):
    rows = [line([f"`{t['name']}`"] + [effect(mode_of(t, m)) for m in SWITCHED] +
                 [bystander(t, m) for m in BYSTANDER]) for t in techniques if mode_of(t, "on")]
    if rows:
        print(head(["technique"] + [f"`{m.replace('_', '-')}`" for m in SWITCHED] +
                   ["bystander: no attack", "`on`", "`off`"]) + "\n" + "\n".join(rows), end="\n\n")


def main(kind, paths):
    techniques = []
    for path in paths:
        with open(path, encoding="utf-8") as f:
            techniques += json.load(f)["techniques"]
    techniques.sort(key=lambda t: t["name"])
    bad = [f"{t['name']}: {t['verdict']}: {t['reason']}" for t in techniques if t["verdict"] not in ("pass", "skip")]
    if bad:
        print("\n".join(bad), file=sys.stderr)
        return 1
    {"figures": figures, "json": figures_json, "mitigations": mitigations, "cleancache": cleancache}[kind](techniques)
    return 0


sys.exit(main(sys.argv[1], sys.argv[2:]))
