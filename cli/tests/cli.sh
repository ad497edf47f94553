#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The command line on this machine: statuses, messages, formats. TS_HOST is tagscope,
# TS_TEST the same with the scenarios of scenarios/ and the sanitizers.
set -uo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
fixtures=$top/cli/tests/fixtures/good
t=$TS_TEST
unset TAGSCOPE_DEBUGFS

# Wrong use: status 2, one line that names what is wrong and what to do.
wrong() { # TEXT ARGUMENT...
	local text=$1
	shift
	run 2 "$t" "$@" && complains "$text" && (($(wc -l <"$dir/err") == 1)) && [[ ! -s $dir/out ]]
	ok "wrong use: ${*:-no command}" $?
}
wrong "did you mean 'run'?" rnu
wrong "there are: list" zzzzzz
wrong "did you mean 'passes'?" run pases
wrong "which scenario?" run
wrong "no parameter 'm'" run passes m=3
wrong "wanted: 1 to 9" run passes n=10
wrong "wanted: yes|no" run passes flag=perhaps
wrong "wanted: a|b" run passes word=c
wrong "comes before any scenario" run n=1 passes
wrong "there is no format 'xml'" run --format xml passes
wrong "unknown option '--fast'" run --fast passes
wrong "takes no value: '--step=1'" run --step=1 passes
wrong "unknown option '-x'" run -x passes
wrong "wants a value" run passes --seed
wrong "--seed wants a number" run --seed x passes
wrong "--time-limit wants seconds" run --time-limit 0 passes
wrong "no scenario fits" suite 'nosuch*'
wrong "no scenario has a parameter 'x'" suite --matrix x=1
wrong "no scenario 'nosuch'" attack nosuch
wrong "is no adversary" attack passes
wrong "not both" attack --json --markdown
wrong "--kind is" list --kind friendly
wrong "go together" state --pid 1
wrong "--blocks wants" state --blocks x
wrong "20 to 60000" watch --interval 1
wrong "did you mean 'store'" fuzz --calls mmap,stor
wrong "1 to 8" fuzz --processes 9
wrong "wants seconds" fuzz --time 0
wrong "there is: bash" completion fish
wrong "which two?" compare x
wrong "--threshold wants" compare --threshold x a b
wrong "which file?" record
wrong "what is to be recorded?" record x.rec --
wrong "'list' cannot be recorded" record x.rec -- list
wrong "20 to 60000" record --interval 1 x.rec -- watch
wrong "which recording?" replay
wrong "which recording?" report
wrong "0.1 to 100" replay --speed 0 x.rec
wrong "there is no lesson '99'" lesson 99
wrong "did you mean '04-mprotect'?" lesson 04-mprotct
wrong "one lesson at a time" lesson 1 2
run 3 "$t" fuzz --output "$dir/nowhere/found.c" && complains "cannot write to $dir/nowhere/found.c"
ok "fuzz: a program that could not be written is known before" $?
run 2 "$t" && complains "Usage: tagscope COMMAND"
ok "no command: usage on stderr" $?

for c in list describe run suite watch record replay report lesson compare attack fuzz state doctor completion; do
	run 0 "$t" $c --help && says "Usage: tagscope $c" "Example" "--help" && [[ ! -s $dir/err ]]
	ok "help of $c" $?
	cp "$dir/out" "$dir/help"
	run 0 "$t" help $c && cmp -s "$dir/help" "$dir/out"
	ok "help $c is the same" $?
	# Whatever can be given is in the manual page too.
	missing=$(sed -n 's/^  \(--[a-z-]*\).*/\1/p' "$dir/help" | while read -r o; do
		grep -qF -- "${o//-/\\-}" "$top/docs/tagscope.1" || echo "$o"
	done)
	[[ -z $missing ]]
	ok "the manual page has all options of $c" $?
	[[ -z $missing ]] || echo "# missing: $missing"
done

# Statuses.
while read -r status scenario; do
	run "$status" "$t" run "$scenario"
	ok "status of $scenario" $?
done <<-'LIST'
	0 passes
	1 fails
	1 crashes
	1 hangs
	1 says-nothing
	3 bails
	4 skips
	4 needs-memory
	4 skips-each
	0 skips-result
	3 changes-undeclared
	1 denied-role
LIST
run 0 "$t" run passes skips && run 1 "$t" run fails bails skips passes && run 3 "$t" run bails skips passes &&
	run 4 "$t" run skips needs-memory
ok "statuses of several" $?
run 1 "$t" run --time-limit 1 hangs && says "its time limit of 1 s is over"
ok "--time-limit" $?

# KTAP.
run 1 "$t" run --seed 7 passes fails skips && cat >"$dir/want" <<-'END' && diff "$dir/want" <(grep -vE '# (measure|note)' "$dir/out" | sed 's/\(behaviours\.c:\).*/\1LINE/')
	KTAP version 1
	1..3
	    KTAP version 1
	    # Subtest: passes
	    # seed 7 n=3 size=4K flag=no word=a
	    # step 1: First, <&"> and # \ are said.
	    ok 1 - one is one \# not a directive
	    # step 2: Second.
	    ok 2 - twice is twice
	    ok 3 - the size is in range
	    ok 4 - the word fits the flag
	    # output: a line on stdout
	    # output:  tab?
	    # output: without an end
	    1..4
	ok 1 - passes
	    KTAP version 1
	    # Subtest: fails
	    # seed 7
	    # step 1: It fails.
	    ok 1 - this holds
	    not ok 2 - one is two
	    # got 1, wanted 2; 1, scenarios/behaviours.c:LINE
	    not ok 3 - five is six or seven
	    # got 5, wanted 6 to 7; 5, scenarios/behaviours.c:LINE
	    not ok 4 - x is y
	    # got 'x', wanted 'y'; "x", scenarios/behaviours.c:LINE
	    not ok 5 - a condition
	    # errno == -1, scenarios/behaviours.c:LINE
	    1..5
	# fails: fail: 4 of 5 results failed
	not ok 2 - fails
	    KTAP version 1
	    # Subtest: skips
	    # seed 7
	ok 3 - skips # SKIP there is no moon here
	# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0
END
ok "KTAP" $?

run 0 "$t" run --seed 7 skips-result && cat >"$dir/want" <<-'END' && diff "$dir/want" "$dir/out"
	KTAP version 1
	1..1
	    KTAP version 1
	    # Subtest: skips-result
	    # seed 7 fail=no
	    ok 1 - this holds
	    ok 2 - the tide is in at 12 # SKIP no moon, \#1
	    ok 3 - this holds, too
	    1..3
	ok 1 - skips-result
	# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0
END
ok "KTAP of a result that is skipped" $?
run 1 "$t" run --format json skips-result fail=yes && python3 - "$dir/out" <<'END' 2>"$dir/err"
import json, sys
ev = [json.loads(line) for line in open(sys.argv[1])]
results = [e for e in ev if e["event"] == "result"]
assert [e.get("skipped") for e in results] == [None, True, None], results
assert results[1]["ok"] and results[1]["detail"] == "no moon, #1", results
end = [e for e in ev if e["event"] == "end"][0]
assert (end["passed"], end["failed"], end["skipped"]) == (1, 1, 1), end
END
ok "JSON of it" $?
run 1 "$t" run --format pretty skips-result fail=yes && says "skip   the tide is in at 12" "no moon, #1" \
	"1 of 2 results ok, 1 skipped"
ok "it on a terminal" $?

# JSON: each line is an object; numbers come back as they were.
run 1 "$t" run --format json --seed 18446744073709551615 passes fails && python3 - "$dir/out" <<'END' 2>"$dir/err"
import json, sys
ev = [json.loads(line) for line in open(sys.argv[1])]
assert ev[0] == {"event": "plan", "version": 1, "t_ns": 0, "number": 2}, ev[0]
start = ev[1]
assert start["event"] == "start" and start["scenario"] == "passes" and start["seed"] == 2**64 - 1, start
assert start["params"] == {"n": 3, "size": 4096, "flag": False, "word": "a"}, start
results = [e for e in ev if e["event"] == "result"]
assert [e["ok"] for e in results] == [True] * 5 + [False] * 4, results
assert all(("detail" in e) != e["ok"] for e in results)
assert results[0]["text"] == "one is one # not a directive"
third = [e for e in ev if e["event"] == "measure" and e["name"] == "third"][0]
assert abs(third["value"] - 1 / 3) < 1e-12 and third["unit"] == "ns", third
ends = [e for e in ev if e["event"] == "end"]
assert [(e["verdict"], e["passed"], e["failed"]) for e in ends] == [("pass", 4, 0), ("fail", 1, 4)], ends
assert ev[-1] == {"event": "totals", "pass": 1, "fail": 1, "error": 0, "skip": 0}, ev[-1]
times = [e["t_ns"] for e in ev if e.get("scenario") == "passes"]
assert times == sorted(times)
END
ok "JSON" $?
run 0 env TAGSCOPE_DEBUGFS="$fixtures" "$t" run --format json passes && python3 - "$dir/out" <<'END' 2>"$dir/err"
import json, sys
ev = [json.loads(line) for line in open(sys.argv[1])]
states = [e["state"] for e in ev if "state" in e]
assert len(states) == 3, len(states)
assert states[0]["policy"] == "cma" and states[0]["reserved_pages"] == 1010 and states[0]["pin_moved"] == 1028
END
ok "JSON carries the state at each step and at the end" $?

# JUnit: the counts are those of the cases.
run 1 "$t" run --format junit --output "$dir/junit.xml" passes fails skips bails crashes skips-result skips-each && python3 - "$dir/junit.xml" <<'END' 2>"$dir/err"
import sys, xml.etree.ElementTree as E
root = E.parse(sys.argv[1]).getroot()
def count(e):
    cases = list(e.iter("testcase"))
    return [len(cases)] + [sum(c.find(w) is not None for c in cases) for w in ("failure", "error", "skipped")]
def told(e):
    return [int(e.get(k)) for k in ("tests", "failures", "errors", "skipped")]
assert len(root) == 7
for suite in list(root) + [root]:
    assert count(suite) == told(suite), (suite.attrib, count(suite))
assert told(root) == [4 + 5 + 1 + 2 + 2 + 3 + 2, 5, 1, 4], told(root)
assert root[5].findall("testcase")[1].find("skipped").get("message") == "no moon, #1"
assert "First, <&\"> and # \\ are said." in root[0].find("system-out").text
END
ok "JUnit" $?
[[ ! -s $dir/out ]]
ok "--output leaves stdout alone" $?

# Whatever a scenario says, and whatever it was given.
run 1 "$t" run --format junit babbles text=$'\xff\x1b' && python3 - "$dir/out" <<'END' 2>"$dir/err"
import sys, xml.etree.ElementTree as E
suite = E.parse(sys.argv[1]).getroot()[0]
out = suite.find("system-out").text
assert "é € 😀" in out and "a note with ? and ?" in out, out
assert suite.find("testcase").get("name") == "a result with ? and ? and é"
assert suite.find("properties")[1].get("value") == "\ufffd\ufffd"
END
ok "JUnit of bytes that are no text" $?
run 1 "$t" run --format json babbles && python3 - "$dir/out" <<'END' 2>"$dir/err"
import json, sys
ev = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8", errors="strict")]
assert any(e.get("text") == "é € 😀" for e in ev)
END
ok "JSON of bytes that are no text" $?
run 3 "$t" run --output /nonexistent/x passes && complains "/nonexistent/x"
ok "--output that cannot be written" $?
run 3 "$t" run --format junit --output /nonexistent/x passes && complains "/nonexistent/x"
ok "--output that cannot be written, JUnit" $?
run 1 "$t" run --format junit --output /dev/full passes && complains "No space left on device"
ok "JUnit on a full disk" $?
run 0 "$t" run --format junit --output /dev/stdout passes && says "</testsuites>"
ok "JUnit to a device" $?

# results KILL NAME: a run that hangs, with results of JUnit in a folder of their own, where
# older ones are; once it hangs it gets this signal. Its status is in rc.
results() {
	local pid
	rm -rf "$dir/results" && mkdir "$dir/results" && echo old >"$dir/results/r.xml"
	"$t" run --format junit --output "$dir/results/r.xml" passes hangs >"$dir/out" 2>"$dir/err" &
	pid=$!
	for ((i = 0; i < 1200; i++)); do
		grep -q old "$dir/results/r.xml" 2>/dev/null || break
		sleep 0.1
	done
	[[ -e $dir/results/r.xml ]] && echo "# there is a file before there are results"
	kill "-$1" $pid
	rc=0
	wait $pid || rc=$?
}
results TERM
((rc == 1)) && [[ $(ls "$dir/results") == r.xml && $(stat -c %a "$dir/results/r.xml") == 644 ]] &&
	python3 -c 'import sys, xml.etree.ElementTree as E; assert len(E.parse(sys.argv[1]).getroot()) > 0' \
		"$dir/results/r.xml" 2>"$dir/err"
ok "JUnit, interrupted: what there is, complete" $?
results KILL
((rc == 137)) && [[ -z $(ls "$dir/results") ]]
ok "JUnit, killed: no results rather than an empty file, or older ones" $?
"$t" run passes >/dev/full 2>"$dir/err"
(($? == 1)) && complains "cannot write the results: No space left on device"
ok "results on a full disk" $?
"$t" list >/dev/full 2>"$dir/err"
(($? == 1)) && complains "No space left on device"
ok "a list on a full disk" $?

# How far it is, for who does not see the results as they come.
run 1 "$t" run --output "$dir/r" fails && [[ ! -s $dir/err ]]
ok "no line of progress for what is over soon" $?
run 1 "$t" run --output "$dir/r" --time-limit 12 hangs &&
	grep -qE '^\[1/1\] hangs: step 1, (9|1[0-2]) s; 0 failed$' "$dir/err" && (($(wc -l <"$dir/err") == 1))
ok "--output: a line on stderr each 10 s" $?
run 1 script -qec "$t suite --output $dir/r fails hangs" /dev/null && says "[1/2] fails: step 0, 0 s; 0 failed" \
	"[2/2] hangs: step " && grep -qE '2/2. hangs: step 1, [0-9]+ s; 1 failed' "$dir/out" && (($(wc -l <"$dir/out") == 0))
ok "--output on a terminal: one line, written anew" $?
run 0 script -qec "$t run passes" /dev/null && ! grep -qF '[1/1]' "$dir/out"
ok "no progress where the results are seen" $?

# Pretty; colours only where they are wanted.
run 1 "$t" run --format pretty fails && says "FAILED fails: 1 of 5 results ok" "got 1, wanted 2" && ! grep -q $'\033' "$dir/out"
ok "pretty, no colours into a file" $?
run 1 "$t" run --format pretty --color always fails && grep -q $'\033\[' "$dir/out"
ok "pretty, colours by force" $?
awk 'length($0) > 100 { exit 1 }' <(sed $'s/\033\\[[0-9;]*m//g' "$dir/out")
ok "pretty, no line is wider than 100" $?
! grep -q ' $' "$dir/out"
ok "pretty, no line ends with a space" $?
run 0 script -qec "$t run passes" /dev/null && says "PASSED" && grep -q $'\033\[' "$dir/out"
ok "on a terminal pretty with colours is the default" $?
run 0 script -qec "NO_COLOR=1 $t run passes" /dev/null && says "PASSED" && ! grep -q $'\033\[' "$dir/out"
ok "NO_COLOR is heeded" $?
run 2 "$t" watch --theme pink && complains "--theme is dark, light, colour-blind or none, not 'pink'" &&
	run 2 "$t" run --theme pink passes && run 2 "$t" replay --theme pink x && run 2 "$t" lesson --theme pink 1
ok "a theme that there is not" $?
run 0 "$t" run --step passes && complains "no terminal" && says "ok 4"
ok "--step without a terminal goes through" $?
printf '  ' | timeout 120 script -qec "$t run --step passes" /dev/null >"$dir/out" 2>&1 && says "PASSED" "go on"
ok "--step with two keys" $?
printf 'q' | timeout 120 script -qec "$t run --step passes passes" /dev/null >"$dir/out" 2>&1
(($? == 1)) && says "ended by the user" && (($(grep -c FAILED "$dir/out") == 1))
ok "--step and q" $?

# begin COMMAND...: in the background, as pid. What the last one wrote is gone before: nobody
# who waits for its output takes that for it.
begin() {
	: >"$dir/out"
	"$@" >"$dir/out" 2>"$dir/err" &
	pid=$!
}

# A signal ends it all, and is a failure.
begin "$t" run hangs passes
for ((i = 0; i < 1200; i++)); do
	grep -q KTAP "$dir/out" && break
	sleep 0.1
done
kill -TERM $pid
rc=0
wait $pid || rc=$?
((rc == 1)) && says "interrupted" && ! grep -q 'ok 2' "$dir/out"
ok "SIGTERM" $?

# suite
run 0 "$t" suite --list --matrix n=1,2 --matrix word=a,b passes && cat >"$dir/want" <<-'END' && diff "$dir/want" "$dir/out"
	passes n=1 size=4K flag=no word=a
	passes n=1 size=4K flag=no word=b
	passes n=2 size=4K flag=no word=a
	passes n=2 size=4K flag=no word=b
END
ok "suite: a matrix" $?
run 1 "$t" suite --matrix word=a,b 'pass*' && says "1..2" "pass:1 fail:1"
ok "suite: runs it, and goes on after a failure" $?
run 0 "$t" suite --repeat 3 --seed 10 passes && says "seed 10" "seed 11" "seed 12" "1..3"
ok "suite: --repeat" $?
run 2 "$t" suite --matrix n=1,99 passes && complains "'99'"
ok "suite: a value out of range" $?
run 0 "$t" suite --list --group behaviour && (($(wc -l <"$dir/out") > 20)) && ! grep -q '^mmap' "$dir/out"
ok "suite: --group" $?

# state, from files
export TAGSCOPE_DEBUGFS=$fixtures
run 0 "$t" state --blocks 12+3 && says "reserved" && (($(wc -l <"$dir/out") == 4))
ok "state: blocks" $?
sed 's/ 8192$/ 64/; s/ 8192 2048$/ 64 36/' "$fixtures/regions" >"$dir/regions"
cp -r "$fixtures" "$dir/fix" && cp "$dir/regions" "$dir/fix/regions"
export TAGSCOPE_DEBUGFS=$dir/fix
run 0 "$t" state && says "policy               cma" "reserved_pages       1010" "fdpcirPufdpcirPu" "region 1"
ok "state: summary and map" $?
run 0 "$t" state --json && python3 - "$dir/out" <<'END' 2>"$dir/err"
import json, sys
s = json.load(open(sys.argv[1]))
assert s["policy"] == "cma" and s["pin_moved"] == 1028
assert [r["blocks"] for r in s["region"]] == [64, 36]
assert s["region"][1]["map"][0] == [64, 1, "f"], s["region"][1]["map"][0]
assert sum(run[1] for r in s["region"] for run in r["map"]) == 100
END
ok "state: JSON" $?
sed -i '/^swap_zero /d; /^foa_sigbus /d' "$dir/fix/summary" && echo "dropped 18446744073709551615" >>"$dir/fix/summary"
run 0 "$t" state && says "swap_zero            -            (not offered by this kernel)" \
	"dropped              18446744073709551615 (not known to this tagscope)"
ok "state: counters of another kernel" $?
run 0 "$t" state --json && python3 - "$dir/out" <<'END' 2>"$dir/err"
import json, sys
s = json.load(open(sys.argv[1]))
assert s["swap_zero"] is None and s["dropped"] == 2**64 - 1 and s["pin_moved"] == 1028
END
ok "state: the same as JSON" $?
run 0 "$t" run --format json passes && python3 - "$dir/out" <<'END' 2>"$dir/err"
import json, sys
states = [e["state"] for e in map(json.loads, open(sys.argv[1])) if "state" in e]
assert len(states) == 3 and all(s["dropped"] == 2**64 - 1 and s["foa_sigbus"] is None for s in states), states
END
ok "and in the events of a scenario" $?
run 0 "$t" watch --plain --count 1 && [[ $(tail -n 1 "$dir/out") == *1024*- ]]
ok "watch: what is absent is a dash" $?
run 0 "$t" watch --plain --interval 20 --count 3 && (($(wc -l <"$dir/out") == 4)) && says "1010"
ok "watch: lines" $?
begin "$t" watch --plain --interval 60000
for ((i = 0; i < 1200; i++)); do
	grep -q 1010 "$dir/out" && break
	sleep 0.1
done
kill -INT $pid
for ((i = 0; i < 1200; i++)); do
	kill -0 $pid 2>/dev/null || break
	sleep 0.1
done
! kill -KILL $pid 2>/dev/null
ok "watch: a signal ends it at once" $?
echo "version 2" >"$dir/fix/summary"
run 3 "$t" state && complains "$dir/fix/summary" "version 2"
ok "state: another version" $?
export TAGSCOPE_DEBUGFS=/nonexistent
run 3 "$t" state && complains "/nonexistent"
ok "state: nothing there" $?
run 3 "$t" watch --plain && complains "/nonexistent"
ok "watch: nothing there" $?
unset TAGSCOPE_DEBUGFS

# Results of two runs. made FAILED TIME...: a run for each time, the first so many failed.
made() {
	local bad=$1 i=0 t
	shift
	for t; do
		i=$((i + 1))
		printf '{"scenario":"s","params":{"n":"1"},"label":"patched","verdict":"%s","expect":"pass","reason":"","failures":[%s],"measures":{"t":{"value":%s,"unit":"ns"},"n":{"value":%s,"unit":"pages"}}}\n' \
			"$( ((i <= bad)) && echo fail || echo pass)" "$( ((i <= bad)) && echo '"x is y: got 1"')" "$t" "$t"
	done
}
compared() { # STATUS NAME TEXT...
	local name=$2
	run "$1" "$t" compare "$dir/old" "$dir/new" && says "${@:3}"
	ok "compare: $name" $?
}
made 0 100 101 102 >"$dir/old"
made 0 103 99 102 >"$dir/new"
compared 0 "within the noise" "1 compared: nothing changed"
made 0 150 151 152 >"$dir/new"
compared 1 "slower" "worse       s n=1: t 101 -> 151 ns (+50%, threshold 25%; 3 and 3 values)" "moved       s n=1: n 101 -> 151 pages"
made 0 50 51 52 >"$dir/new"
compared 0 "faster" "better      s n=1: t"
made 0 100 101 152 >"$dir/new"
compared 0 "one of three is slower" "nothing changed"
made 0 200 201 >"$dir/new"
compared 0 "two values of a time say nothing" "1 compared: 1 moved"
run 1 "$t" compare --threshold 10 "$dir/old" "$dir/new"
ok "compare: but for who insists" $?
made 1 100 101 102 >"$dir/new"
compared 1 "one fails" "broke       s n=1: 1 of 3 failed, was 0 of 3" "x is y: got 1"
run 1 "$t" compare --json "$dir/old" "$dir/new" && python3 -c 'import json,sys
o = json.load(open(sys.argv[1]))
assert o["broke"][0]["new_failed"] == 1 and not o["ok"] and o["compared"] == 1' "$dir/out"
ok "compare: --json" $?
run 0 "$t" compare "$dir/new" "$dir/old" && says "mended      s n=1: 0 of 3 failed, was 1 of 3"
ok "compare: mended" $?
sed 's/"pass","expect"/"skip","expect"/' "$dir/old" >"$dir/new"
compared 1 "all is skipped" "skipped     s n=1"
sed 's/"label"/"state":"quarantined","label"/; s/"pass","expect"/"fail","expect"/' "$dir/old" >"$dir/new"
compared 0 "what is in quarantine may fail" "nothing changed"
made 3 100 101 102 >"$dir/old"
compared 0 "what failed and is in quarantine is not mended" "quarantined s n=1: 0 of 3 failed and 3 in quarantine, was 3 of 3"
made 0 100 101 102 >"$dir/old"
sed 's/"label"/"state":"missing","label"/; s/"verdict":"pass",//' "$dir/old" >"$dir/new"
compared 1 "what was to run and has not" "missing     s n=1: 0 of 0 failed and 3 missing, was 0 of 3"
run 1 "$t" compare --json "$dir/old" "$dir/new" && grep -q '"ok":.*false' "$dir/out"
ok "compare: for programs, too" $?
sed -n 3p "$dir/new" | cat <(head -n 2 "$dir/old") - >"$dir/two" && mv "$dir/two" "$dir/new"
compared 1 "one of three is missing" "missing     s n=1: 0 of 2 failed and 1 missing, was 0 of 3"
run 0 "$t" compare "$dir/new" "$dir/old" && says "nothing changed"
ok "compare: it was missing in OLD" $?
sed 's/"scenario":"s"/"scenario":"other"/' "$dir/old" >"$dir/new"
compared 0 "what is no longer in the suite" "only in OLD s n=1" "only in NEW other n=1" "0 compared: 1 only in OLD, 1 only in NEW"
sed 's/"label"/"state":"failed","label"/; s/"pass","expect":"pass"/"fail","expect":"fail"/' "$dir/old" >"$dir/new"
compared 1 "a panic is no expected failure" "broke       s n=1: 3 of 3 failed"
made 1 100 100 100 100 100 100 100 100 100 100 >"$dir/old"
made 3 100 100 100 100 100 100 100 100 100 100 >"$dir/new"
compared 0 "3 of 10 is no more than 1 of 10, as far as one can tell" "nothing changed"
made 8 100 100 100 100 100 100 100 100 100 100 >"$dir/new"
compared 1 "8 of 10 is more" "more often  s n=1: 8 of 10 failed, was 1 of 10"
mkdir "$dir/folder"
made 0 200 201 >"$dir/folder/results.jsonl"
made 0 100 101 >"$dir/old"
echo '{"threshold": 50, "measures": [{"scenario": "s", "name": "t", "threshold": 20, "worse": "less"}]}' >"$dir/folder/compare.json"
run 0 "$t" compare "$dir/old" "$dir/folder" && says "better      s n=1: t 100.5 -> 200.5 ns (+100%, threshold 20%" "moved       s n=1: n"
ok "compare: a folder with thresholds of its own" $?
echo '{"threshold": 50, "measures": [{}]}' >"$dir/folder/compare.json"
run 3 "$t" compare "$dir/old" "$dir/folder" && complains "compare.json"
ok "compare: thresholds that are none" $?
run 1 "$t" run --format json passes fails skips && mv "$dir/out" "$dir/new" && cp "$dir/new" "$dir/old" &&
	run 0 "$t" compare "$dir/old" "$dir/new" && says "3 compared: nothing changed"
ok "compare: files of events" $?
awk '{ print } /"event":"end"/ { exit }' "$dir/old" >"$dir/new"
run 3 "$t" compare "$dir/old" "$dir/new" && complains "$dir/new: it ends after 1 of 3 scenarios"
ok "compare: a file of events without the last" $?
head -n 5 "$dir/old" >"$dir/new"
run 3 "$t" compare "$dir/old" "$dir/new" && complains "$dir/new: it ends amid the scenario"
ok "compare: half a file of events" $?
echo '{"scenario": 3}' >"$dir/new"
run 3 "$t" compare "$dir/old" "$dir/new" && complains "$dir/new: line 1 is neither"
ok "compare: a file of something else" $?

# What is built for this machine: all scenarios are there, and none pretends to run.
run 0 "$TS_HOST" list --names --kind workload && diff <(find "$top/workloads" -maxdepth 1 -name '*.c' -printf '%f\n' |
	sed 's/\.c$//' | sort) <(sort "$dir/out")
ok "each file of workloads/ is a scenario of its name" $?
# Those that differ in little share a file.
run 0 "$TS_HOST" list --names --kind adversary && while read -r name; do
	[[ $(grep -l "\.name = \"$name\"\|(\"$name\"\|\"$name\"," "$top"/adversarial/*.c | wc -l) == 1 ]] || echo "$name"
done <"$dir/out" >"$dir/err" && [[ ! -s $dir/err && -s $dir/out ]]
ok "each adversary is in one file of adversarial/" $?
mapfile -t all <"$dir/out"
run 0 "$TS_HOST" describe "${all[@]}" && says "Parameters" "Needs"
ok "describe all" $?
run 0 "$t" describe changes && says "Changes, while it runs" "  setting*"
ok "describe tells what a scenario changes" $?
run 0 "$TS_HOST" list --json && python3 -c 'import json,sys; json.load(open(sys.argv[1]))' "$dir/out"
ok "list --json" $?
if [[ $(uname -m) != aarch64 ]]; then
	run 3 "$TS_HOST" run mmap && says "not ok 1 - mmap" "not an arm64 machine"
	ok "mmap cannot run here" $?
	run 3 "$TS_HOST" doctor && says "fail  machine"
	ok "doctor says so" $?
fi

# Completion, as bash would ask for it.
complete_words() {
	bash -c 'PATH=$1:$PATH; source <(tagscope completion bash) || exit; shift
		COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }
		_tagscope; printf "%s\n" "${COMPREPLY[@]}"' _ "$(dirname "$t")" "$@" >"$dir/out" 2>"$dir/err"
}
complete_words tagscope de && [[ $(<"$dir/out") == describe ]]
ok "completion of a command" $?
complete_words tagscope run pass && [[ $(<"$dir/out") == passes ]]
ok "completion of a scenario" $?
complete_words tagscope run passes wo && [[ $(<"$dir/out") == word= ]]
ok "completion of a parameter" $?
complete_words tagscope run --fo && [[ $(<"$dir/out") == --format ]]
ok "completion of an option" $?
complete_words tagscope run --format j && [[ $(<"$dir/out") == $'json\njunit' ]]
ok "completion of a format" $?
# Recordings: each format of a replay is what the run gave, byte for byte, and the statuses.
recorded() { # STATUS SCENARIO...
	local want=$1 f
	shift
	for f in pretty ktap json junit; do
		run "$want" "$t" record "$dir/rec" -- run --seed 5 --format "$f" --output "$dir/ran" "$@" || return 1
		run "$want" "$t" replay --format "$f" --output "$dir/replayed" "$dir/rec" || return 1
		cmp "$dir/ran" "$dir/replayed" || return 1
	done
}
recorded 1 passes fails roles babbles role-crashes skips skips-each
ok "a replay gives what the run gave, in each format" $?
recorded 4 skips
ok "and the status of a run that was skipped" $?
run 1 "$t" record "$dir/rec" -- suite --seed 5 --format json --output "$dir/ran" 'f[a]ils' && run 1 "$t" replay --format json "$dir/rec" &&
	cmp "$dir/out" "$dir/ran" && zstd -dc "$dir/rec" | python3 -c '
import json, sys
lines = [json.loads(l) for l in sys.stdin]
assert lines[0]["event"] == "recording" and lines[-1]["event"] == "recorded", lines
assert all(a["at"] <= b["at"] for a, b in zip(lines[1:], lines[2:]))'
ok "a suite, and lines of JSON in it, by time" $?
run 2 "$t" record "$dir/rec" -- run nosuch && complains "there is no scenario" && run 0 "$t" replay --info "$dir/rec" && says "status     2"
ok "what was wrong use is recorded as such" $?
run 3 "$t" record "$dir/nosuch/rec" -- run passes && complains "cannot write to"
ok "a file that cannot be made" $?
cp -r "$fixtures" "$dir/watched"
TAGSCOPE_DEBUGFS=$dir/watched run 0 "$t" record "$dir/rec" -- watch --plain --interval 20 --count 3 &&
	run 0 "$t" replay "$dir/rec" && says "available" && (($(wc -l <"$dir/out") == 2)) &&
	run 0 "$t" replay --info "$dir/rec" && says "state      yes" "command    watch --plain"
ok "a watch" $?
head -c -20 "$dir/rec" >"$dir/cut"
run 3 "$t" replay "$dir/cut" && complains "cut short"
ok "a recording that is cut short" $?
printf '{"event":"recording","version":3}\n' | zstd -q >"$dir/cut"
run 3 "$t" replay "$dir/cut" && complains "version 3 of recordings; this tagscope knows version 2"
ok "a recording of a later version" $?
# Whoever records is killed: the run goes on, and the file is good until then.
rm -f "$dir/rec"
(
	"$t" record "$dir/rec" -- run --time-limit 20 hangs &
	recorder=$!
	for ((i = 0; i < 150; i++)); do
		zstd -dc "$dir/rec" | grep -q '"event":"step"' && break
		sleep 0.1
	done
	kill -KILL $recorder
) >/dev/null 2>&1
run 3 "$t" replay --format ktap "$dir/rec" && complains "no end" && says "not ok 1 - hangs"
ok "a recorder that was killed" $?

# Reports: all that is to be seen, nothing from elsewhere, and of a recording nothing is markup.
page() { # TEXT...
	local x
	for x; do grep -qF -- "$x" "$dir/page.html" || { echo "# missing in the page: $x"; return 1; }; done
}
run 1 "$t" record "$dir/fails.rec" -- run --seed 5 passes fails && run 0 "$t" report -o "$dir/page.html" "$dir/fails.rec" &&
	page 'First, &lt;&amp;&quot;&gt; and # \ are said.' 'Failed: ' 'What came before' 'got 1, wanted 2' '<td class="fail">fail</td>' \
		'lang="en"' '</html>' && ! grep -q 'First, <&' "$dir/page.html"
ok "a report of a run" $?
! grep -oE '(src|href)="[^"]*"' "$dir/page.html" | grep -vE '"(data:|#)'
ok "it needs no other file" $?
run 0 env TAGSCOPE_DEBUGFS="$dir/watched" "$t" record "$dir/watch.rec" -- watch --plain --interval 20 --count 3 &&
	run 0 "$t" report -o "$dir/page.html" "$dir/watch.rec" &&
	page 'Nothing was run in it' 'type="range"' '"frames":[' 'free: its pages are free memory'
ok "a report of a watch has the map" $?
run 0 "$t" record "$dir/passes.rec" -- run --seed 6 passes && run 0 "$t" report -o "$dir/page.html" "$dir/fails.rec" "$dir/passes.rec" &&
	page 'What differs' '<td>not there</td>' 'five is six or seven'
ok "a report of two says what differs" $?
run 0 "$t" report -o "$dir/page.html" "$dir/passes.rec" "$dir/passes.rec" && page 'Nothing differs'
ok "and of the same twice, nothing" $?
head -c -20 "$dir/fails.rec" >"$dir/cut"
run 3 "$t" report -o "$dir/page.html" "$dir/cut" && complains "cut short"
ok "a report of what is cut short" $?
# One whose counters change, so that there is something to plot.
cp -r "$fixtures" "$dir/moves"
TAGSCOPE_DEBUGFS=$dir/moves begin "$t" record "$dir/moves.rec" -- watch --plain --interval 200 --count 8
for ((i = 0; i < 1200; i++)); do
	(($(wc -l <"$dir/out") < 4)) || break
	sleep 0.1
done
sed 's/^reserve_ok .*/reserve_ok 4711/' "$fixtures/summary" >"$dir/moves/summary"
wait "$pid"
run 0 env PATH=/nonexistent "$t" report -o "$dir/page.html" "$dir/moves.rec" && page 'gnuplot is not installed where this page was made'
ok "a report without gnuplot" $?

# Lessons: those that ship, from their recordings.
lessons=$top/docs/lessons
export XDG_STATE_HOME=$dir/state
# answer STATUS ANSWERS ARGUMENT...: a lesson as text, with these lines typed.
answer() {
	local want=$1 lines=$2 rc=0
	shift 2
	printf '%b' "$lines" | timeout -k 5 300 "$t" lesson --plain --recording "$@" >"$dir/out" 2>"$dir/err" || rc=$?
	((rc == want)) || { echo "# status $rc, wanted $want: lesson $*"; return 1; }
}
run 0 "$t" lesson && says " 1  What a tag is" "12  Two policies" "0 of 12 done" && [[ ! -e $dir/state ]]
ok "the lessons, none of them done" $?
run 0 "$t" lesson --check && (($(grep -c '^ok ' "$dir/out") == 12)) && cp "$dir/out" "$dir/checked"
ok "each fits its recordings" $?
while read -r _ number _ name text; do
	right=${text##* }
	answer 0 "nonsense\n$((right ? 0 : 1))\n$right\n" "$number" && says "is no answer" "Right." "== Why ==" "== Read next ==" &&
		[[ $(grep -c '^Not right\.' "$dir/out") == 1 || $(grep -c 'is no answer\|is no block' "$dir/out") == 2 ]]
	ok "lesson $name from its recording: what is wrong is refused, $right is right" $?
	awk 'length($0) > 100 && !/^  / { exit 1 }' "$dir/out"
	ok "lesson $name: no line is too long" $?
done < <(sed 's/: the answer is/ x/' "$dir/checked")
run 0 "$t" lesson && says "12 of 12 done" && (($(sort -u "$dir/state/tagscope/lessons" | wc -l) == 12))
ok "what was done is kept" $?
run 0 "$t" lesson --class && ! says " done" && rm -r "$dir/state" && answer 0 '2\n' --class tags && [[ ! -e $dir/state ]]
ok "but not in class" $?
answer 1 '3\n' 1 && says 'Not right.' && answer 4 '' 1 && answer 4 'x\n' 1 && [[ ! -e $dir/state ]]
ok "wrong is 1, no answer is 4, and neither is kept" $?
: >"$dir/state" && answer 0 '2\n' 1 && complains "cannot be kept in $dir/state/tagscope/lessons"
ok "where it cannot be kept, that is told" $?
rm -f "$dir/state"
run 0 "$t" lesson --print 9 && says "== For the instructor ==" "Run: scripts/vm -- tagscope run vmsplice-pin"
ok "all of a lesson, for the instructor" $?
run 0 "$t" lesson --commands 12 && says "scripts/vm --record docs/lessons/12-policies.2.rec --policy cleancache"
ok "the commands that make its recordings" $?
# Each scenario that a lesson is about is there, with these parameters.
while read -r -a words; do
	for ((i = 0; i < ${#words[@]}; i++)); do [[ ${words[i]} != -- ]] || break; done
	run 3 "$TS_HOST" "${words[@]:i+2}" || run 4 "$TS_HOST" "${words[@]:i+2}"
	ok "there is: ${words[*]:i+2}" $?
done < <("$t" lesson --commands)
# A folder of one's own, and what may be wrong in it.
mkdir "$dir/own" && cp "$lessons"/01-tags.* "$dir/own/"
run 0 env TAGSCOPE_LESSONS="$dir/own" "$t" lesson && says "0 of 1 done"
ok "lessons of another folder" $?
sed -i 's/^## After step 6/## After step 60/' "$dir/own/01-tags.md"
run 1 env TAGSCOPE_LESSONS="$dir/own" "$t" lesson --check && says "not ok 1 - 01-tags: the stop after step 60 of run 1 is not reached: it has 8 steps"
ok "a step that is not in the recording" $?
sed -i 's/^## After step 60/## After step 6/; s/^\* Run: mmap.*/* Run: mmap pages=32/' "$dir/own/01-tags.md"
run 1 env TAGSCOPE_LESSONS="$dir/own" "$t" lesson --check && says "not of 'run --seed 1 mmap pages=32'"
ok "a recording of something else" $?
echo '## Nothing' >>"$dir/own/01-tags.md"
run 3 env TAGSCOPE_LESSONS="$dir/own" "$t" lesson && complains "$dir/own/01-tags.md: line " "there is no section 'Nothing'"
ok "a lesson that is none: which line, and why" $?
cp "$lessons/01-tags.md" "$dir/own/" && head -c 2000 "$lessons/01-tags.rec" >"$dir/own/01-tags.rec"
run 1 env TAGSCOPE_LESSONS="$dir/own" "$t" lesson --check && says "not ok 1 - 01-tags: 01-tags.rec: "
ok "a recording that is cut short" $?
rm "$dir/own/01-tags.rec"
run 3 env TAGSCOPE_LESSONS="$dir/own" "$t" lesson --class --plain 1 && complains "$dir/own/01-tags.rec: No such file"
ok "a recording that is missing" $?
run 3 env TAGSCOPE_LESSONS="$dir/nosuch" "$t" lesson && complains "no lessons are in $dir/nosuch"
ok "a folder that is missing" $?

finish
