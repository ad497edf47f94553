# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # dir is the test's
#
# Looking at pages in Chromium; to be sourced, after lib.sh. dir is a folder of the test's.
# Another version of axe-core may find other things.
axe_version=4.14.1
browser=$(type -P chromium chromium-browser | head -n 1)

# browse OPTION...: what it writes to stdout in out; messages of pages are in err.
browse() {
	timeout 200 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$dir/profile" --enable-logging=stderr \
		--virtual-time-budget=10000 "$@" >"$dir/out" 2>"$dir/err"
}
silent() { ! grep -a 'CONSOLE' "$dir/err"; }

# page_with PAGE FILE SCRIPT...: FILE becomes a copy of PAGE with these scripts at its end; what
# they make of the element with the id "told" is what they have to say.
page_with() {
	local s from=$1 to=$2
	shift 2
	{
		# What a page allows itself is not for these.
		head -n -2 "$from" | sed '/<meta http-equiv="Content-Security-Policy" content="default-src .none.; style-src/d'
		echo '<pre id="told"></pre>'
		for s; do
			printf '<script>\n'
			cat "$s"
			printf '\n</script>\n'
		done
		printf '</body>\n</html>\n'
	} >"$to"
}
told() { sed -n '/<pre id="told">/,/<\/pre>/p' "$dir/out" | sed 's/<[^>]*>//g'; }

# axe: its file, from the cache or npm; fails if it cannot be had.
axe() {
	local file
	file=$(cache_dir axe)/axe-$axe_version.js
	if [[ ! -s $file ]] && type -P npm >/dev/null; then
		(cd "$dir" && npm pack --silent "axe-core@$axe_version" && tar -xzf "axe-core-$axe_version.tgz" package/axe.min.js &&
			mv package/axe.min.js "$file") >"$dir/out" 2>"$dir/err"
	fi
	[[ -s $file ]] && echo "$file"
}

# axe_finds_nothing PAGE SCHEME AXE RULES: nothing serious, in this scheme of colours, and more
# than so many rules passed, so that it did look.
axe_finds_nothing() {
	cat >"$dir/axe.js" <<-'JS'
	axe.run().then(r => {
		const bad = r.violations.filter(v => v.impact === 'serious' || v.impact === 'critical');
		document.getElementById('told').textContent = 'rules passed: ' + r.passes.length + '\nserious: ' + bad.length + '\n' +
			r.violations.map(v => v.impact + ' ' + v.id + ' ' + v.nodes.map(n => n.target).slice(0, 3).join(' ')).join('\n');
	});
	JS
	page_with "$1" "$dir/axe.html" "$3" "$dir/axe.js"
	# What the system prefers is not set by an option of the command line.
	[[ $2 == light ]] || sed -i -E 's/@media ?\(prefers-color-scheme: ?dark\)/@media all/' "$dir/axe.html"
	browse --dump-dom "file://$dir/axe.html"
	told >"$dir/said"
	cp "$dir/said" "$dir/out"
	grep -q '^serious: 0$' "$dir/said" && (($(sed -n 's/.*rules passed: //p' "$dir/said") > $4))
}
