# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts/bench: from lines "FIGURE CONFIGURATION FIRST SECOND SPREAD" to a table
# and the aims, or to JSON. Variables: json, notes (a file: FIGURE\tCONFIGURATION TEXT), mem.

function abs(x) { return x < 0 ? -x : x }
function more(f, c) { return (value[f, c] / value[f, "vanilla"] - 1) * 100 }
# Where the unpatched kernel has nothing to do, a ratio says nothing.
function percent(f, c,   m) { m = more(f, c); return m > 999 ? "-" : sprintf("%+.2f%%", m) }
function has(f, c) { return (f SUBSEP c) in value }

# aim FIGURE CONFIGURATION MOST TEXT: by how many percent it may exceed vanilla.
function aim(f, c, most, text,   m) {
	if (!has(f, c) || !has(f, "vanilla"))
		return
	m = more(f, c)
	verdict(text, sprintf("%+.2f %%", m), sprintf("at most %+.1f %%", most), m <= most,
		sprintf("%.2f %% (%.1f instructions a page)", m - most,
			value[f, c] - value[f, "vanilla"] * (1 + most / 100)))
}

function verdict(text, is, want, met, by) {
	naims++
	aim_text[naims] = text; aim_is[naims] = is; aim_want[naims] = want
	aim_met[naims] = met; aim_by[naims] = by
}

function quote(s) { gsub(/["\\]/, "\\\\&", s); return "\"" s "\"" }

{
	f = $1; c = $2
	if (!(f in seen)) { seen[f] = 1; figure[++nf] = f }
	config[c] = 1
	value[f, c] = ($3 + $4) / 2
	noise[f, c] = value[f, c] ? abs($3 - $4) / value[f, c] * 100 : 0
	spread[f, c] = $5
	if (noise[f, c] > worst) { worst = noise[f, c]; worst_of = f " (" c ")" }
}

END {
	while ((getline line < notes) > 0) {
		nn++
		split(line, part, "\t")
		note_of[nn] = part[1]
		note[nn] = part[2]
	}
	for (i = 1; i <= nf; i++)
		aim(figure[i], "off", 0.2, figure[i] ", option off")
	aim("plain-fault", "cma", 0.1, "plain-fault, cma")
	aim("mte-fault", "cma", 2, "mte-fault, cma, tag storage free")
	aim("mte-unmap", "cma", 10, "mte-unmap, cma")
	aim("mprotect", "cma", 30, "mprotect(PROT_MTE), cma, tag storage free")
	aim("mte-thp-fault", "cma", 20, "mte-thp-fault, cma, tag storage free")
	aim("lent-futex-wake", "cma", 1, "futex wake, page in tag storage")
	aim("lent-process-vm", "cma", 1, "process_vm_readv, page in tag storage")
	aim("lent-direct-read", "cma", 1, "O_DIRECT read, page in tag storage")
	if (has("reserve", "reserve") && value["reserve", "reserve"]) {
		ratio = value["alloc-contig-range", "reserve"] / value["reserve", "reserve"]
		verdict("a free block reserved, against alloc_contig_range()", sprintf("%.0f times cheaper", ratio),
			"at least 100 times", ratio >= 100, sprintf("%.0f", 100 - ratio))
	}

	for (i = 1; i <= nf; i++)
		# Slab objects, not pages by themselves.
		if (has(figure[i], "kasan") && has(figure[i], "kasan-vanilla") && figure[i] != "kasan-pipe-page") {
			ratio = (value[figure[i], "kasan"] / value[figure[i], "kasan-vanilla"] - 1) * 100
			verdict(figure[i] ", policy cleancache", sprintf("%+.2f %%", ratio), "at most +3.0 %", ratio <= 3, sprintf("%.2f %%", ratio - 3))
		}

	if (json) {
		printf "{\n  \"unit\": \"instructions per page\",\n  \"memory\": %s,\n  \"figures\": [", quote(mem)
		for (i = 1; i <= nf; i++) {
			f = figure[i]
			printf "%s\n    {\"name\": %s", (i > 1 ? "," : ""), quote(f)
			for (c in config)
				if (has(f, c))
					printf ", %s: {\"value\": %.2f, \"noise_percent\": %.3f, \"spread\": %.2f}", quote(c), value[f, c], noise[f, c], spread[f, c]
			printf "}"
		}
		printf "\n  ],\n  \"notes\": ["
		for (i = 1; i <= nn; i++)
			printf "%s\n    {\"figure\": %s, \"text\": %s}", (i > 1 ? "," : ""), quote(note_of[i]), quote(note[i])
		printf "\n  ],\n  \"aims\": ["
		for (i = 1; i <= naims; i++)
			printf "%s\n    {\"aim\": %s, \"is\": %s, \"wanted\": %s, \"met\": %s}", (i > 1 ? "," : ""), quote(aim_text[i]), quote(aim_is[i]), quote(aim_want[i]), aim_met[i] ? "true" : "false"
		printf "\n  ],\n  \"noise_percent\": %.3f\n}\n", worst
		exit
	}

	if ("vanilla" in config) {
		printf "%-22s %10s %10s %9s %10s %9s %8s\n", "instructions a page", "vanilla", "off", "", "cma", "", "noise"
		for (i = 1; i <= nf; i++) {
			f = figure[i]
			if (!has(f, "vanilla"))
				continue
			n = noise[f, "vanilla"]
			if (noise[f, "off"] > n) n = noise[f, "off"]
			if (noise[f, "cma"] > n) n = noise[f, "cma"]
			printf "%-22s %10.1f %10.1f %9s %10.1f %9s %7.3f%%\n", f, value[f, "vanilla"],
				value[f, "off"], percent(f, "off"), value[f, "cma"], percent(f, "cma"), n
		}
	}
	if ("reserve" in config) {
		printf "\n%-22s %10s %10s %8s\n", "instructions a block", "median", "spread", "noise"
		for (i = 1; i <= nf; i++)
			if (has(figure[i], "reserve"))
				printf "%-22s %10.0f %10.0f %7.3f%%\n", figure[i], value[figure[i], "reserve"], spread[figure[i], "reserve"], noise[figure[i], "reserve"]
	}
	if ("kasan" in config) {
		printf "\n%-22s %10s %10s %9s %8s\n", "instructions, KASAN", "vanilla", "cleancache", "", "noise"
		for (i = 1; i <= nf; i++) {
			f = figure[i]
			if (!has(f, "kasan"))
				continue
			n = noise[f, "kasan"] > noise[f, "kasan-vanilla"] ? noise[f, "kasan"] : noise[f, "kasan-vanilla"]
			printf "%-22s %10.1f %10.1f %+8.2f%% %7.3f%%\n", f, value[f, "kasan-vanilla"], value[f, "kasan"],
				(value[f, "kasan"] / value[f, "kasan-vanilla"] - 1) * 100, n
		}
	}
	if (nn) {
		print ""
		for (i = 1; i <= nn; i++)
			printf "%s, %s\n", note_of[i], note[i]
	}
	printf "\nThe two boots of a configuration differ by at most %.3f %%%s.\n", worst, worst_of ? ": " worst_of : ""
	if (naims)
		print "\nAims:"
	for (i = 1; i <= naims; i++)
		printf "%-7s %-52s %s (%s)%s\n", aim_met[i] ? "met" : "MISSED", aim_text[i], aim_is[i], aim_want[i], aim_met[i] ? "" : ", missed by " aim_by[i]
}
