# SPDX-License-Identifier: GPL-2.0-only
"""The figures of attacks as tables: reads what `tagscope attack --json` printed, a file for each technique."""
import json
import sys

MODES = (("on", "all mitigations on"), ("off", "all mitigations off"))
HEAD = ("technique", "blocks placed", "held", "p50", "p99", "max", "replays", "outcome", "recovers", "bystander")


def duration(ns):
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def ratio(now, before):
    return f"{now / before:.2g}" if now < 100 * before else f"{now / before:.0f}"


def mode_of(technique, name):
    return next((m for m in technique["modes"] if m["mitigations"] == name), None)


def bystander(mode):
    return next((v["p99_ns"] for v in mode["victims"] if v["name"] == "bystander"), None)


def row(technique, mode):
    """One line: of all ways in which the victim gets tagged memory the slowest, and all that came of them."""
    # Who shares its pages with the attacker is another matter, and fails as it must.
    ways = [v for v in mode["victims"] if v["name"] not in ("bystander", "shared")]
    # A huge page is 512 pages.
    slowest = max((v for v in ways if v["name"] != "huge"), key=lambda v: v["p99_ns"], default=None)
    failed = [v for v in ways if v["sigbus"]]
    replays = sum(n for v in ways for n in v["replayed"].values())
    before, now = bystander(mode_of(technique, "baseline")), bystander(mode)
    cells = [f"`{technique['name']}`", f"{mode['placed_blocks']:.0f}" if "placed_blocks" in mode else "",
             f"{mode['held_blocks']:.0f}"]
    cells += [duration(slowest[key]) for key in ("p50_ns", "p99_ns", "max_ns")] if slowest else [""] * 3
    cells += [str(replays) if replays else "-",
              f"SIGBUS: {len(failed)} of {len(ways)}" if failed else "ok" if ways else "",
              "yes" if mode["recovered"] else "NO", ratio(now, before) if now and before else ""]
    return "| " + " | ".join(cells) + " |"


def main(paths):
    techniques = []
    for path in paths:
        with open(path, encoding="utf-8") as f:
            techniques += json.load(f)["techniques"]
    techniques.sort(key=lambda t: t["name"])
    bad = [f"{t['name']}: {t['verdict']}: {t['reason']}" for t in techniques if t["verdict"] not in ("pass", "skip")]
    if bad:
        print("\n".join(bad), file=sys.stderr)
        return 1
    for name, text in MODES:
        rows = [row(t, mode_of(t, name)) for t in techniques if mode_of(t, name)]
        if not rows:
            continue
        print(f"{text[0].upper()}{text[1:]}:\n\n| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
        print("\n".join(rows), end="\n\n")
    return 0


sys.exit(main(sys.argv[1:]))
