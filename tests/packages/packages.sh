# The packages: built from the tree, inspected, installed on a host with systemd, used there by the timer's service, and removed.
# With VMC_WHOLE_GUEST set (make check-nightly) the guest is a whole Debian that has the agent from its package.
set -eu
bed=$(cd "$(dirname "$0")/../bed" && pwd)
top=$bed/../..
packages=$top_builddir/packages
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say () { printf '# %s\n' "$*"; }
fail () { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

say "both kinds of packages are built from the tarball"
make -C "$top_builddir" deb DEB_BUILD_OPTIONS=nocheck >"$log" 2>&1 </dev/null || { tail -n 30 "$log" >&2; fail "make deb"; }
make -C "$top_builddir" rpm RPMBUILD_FLAGS=--nodeps >"$log" 2>&1 </dev/null || { tail -n 30 "$log" >&2; fail "make rpm"; }

say "lintian has nothing to say"
lintian --allow-root --fail-on error,warning,info "$packages"/deb/*.changes >"$log" 2>&1 || { cat "$log" >&2; fail "lintian"; }

say "host and guest get their own part, the same from both kinds"
list_deb () { dpkg-deb -c "$packages"/deb/"$1"_*.deb | awk '$1 !~ /^d/ {print substr($6, 2)}'; }
list_rpm () { rpm -qlp "$packages"/rpm/RPMS/*/"$1"-0*.rpm; }
names () { sed -n 's/[.]gz$//; /build-id\|\/doc\/\|\/licenses\/\|\/lintian\//d; s,.*/,,p' | grep -vx 'vmcompact\|templates' | sort; }
for package in vmcompact vmcompact-agent; do
    diff <(list_deb $package | names) <(list_rpm $package | names) >&2 || fail "the packages $package differ"
done
list_deb vmcompact-agent | names | tr '\n' ' ' | grep -qx '99-vmcompact-agent.rules vmcompact-agent vmcompact-agent.8 vmcompact-agent.service ' || fail "the agent's package has something else"
for file in /usr/sbin/vmcompact /etc/vmcompact/vmcompact.conf /etc/cron.d/vmcompact /lib/systemd/system/vmcompact.timer /usr/share/man/man5/vmcompact.conf.5.gz; do
    list_deb vmcompact | grep -qx "$file" || fail "no $file in the package"
done
dpkg-deb -f "$packages"/deb/vmcompact_*.deb Depends | grep -q 'libvirt0.*qemu-utils' || fail "another dependency"

say "completion knows the options of --help, and no others"
"$top_builddir/vmcompact" --help >"$log"
python3 - "$log" "$top/packaging/completion" <<'PY' || fail "completion"
import re, sys
told = set(re.findall(r"--[a-z-]+|^  (?:-[a-zA-Z])", re.sub(r"(?m)^(?!  ).*", "", open(sys.argv[1]).read()), re.M))
told = {word.strip() for word in told}
bash = open(sys.argv[2] + "/vmcompact.bash").read()
bash = set(re.findall(r"--?[a-zA-Z-]+", re.search(r"-W '(-c --connect.*?)'", bash, re.S).group(1)))
zsh = open(sys.argv[2] + "/_vmcompact").read()
zsh = re.findall(r"^ *'[^']*'\{(.*?)\}|^ *'[*]?(--[a-z-]+)", zsh[zsh.index("_arguments -S"):], re.M)
zsh = {word.rstrip("=+") for words in zsh for word in ("".join(words)).split(",")}
for name, words in ("bash", bash), ("zsh", zsh):
    if words != told:
        sys.exit(f"{name}: {sorted(words ^ told)}")
PY
bash -n "$top/packaging/completion/vmcompact.bash"
bash -c ". /usr/share/bash-completion/bash_completion; . $top/packaging/completion/vmcompact.bash; COMP_WORDS=(vmcompact --min); COMP_CWORD=1; COMP_LINE='vmcompact --min'; COMP_POINT=15; _vmcompact; echo \${COMPREPLY[*]}" 2>/dev/null |
    grep -qx -- '--min-reclaim=' || fail "bash does not complete"

say "the dashboard asks for metrics that there are"
python3 - "$top" <<'PY' || fail "the dashboard"
import json, re, sys
panels = json.load(open(sys.argv[1] + "/packaging/grafana/vmcompact.json"))["panels"]
asked = {name for panel in panels for target in panel["targets"] for name in re.findall(r"vmcompact_\w+", target["expr"])}
code = open(sys.argv[1] + "/host/metrics.c").read()
there = {"vmcompact_" + name for name in re.findall(r'\{"(\w+)", "(?:gauge|counter)"', code) + re.findall(r'print_head \(out, "(\w+)"', code)}
if not asked or asked - there:
    sys.exit(f"not there: {sorted(asked - there)}")
PY

say "the shipped configuration: each key is one that the program takes, commented out"
grep -q '^[^#]' "$top/packaging/config/vmcompact.conf" && fail "it changes something"
sed -n 's/^#\([a-z-]* = \)/\1/p' "$top/packaging/config/vmcompact.conf" >"$log"
chmod 600 "$log"
"$top_builddir/vmcompact" --config="$log" -c test:///default --status test >/dev/null || fail "a key or value in it is wrong"

say "a host with systemd"
"$bed/systemd-host" /bin/bash "$top/tests/packages/night.sh"
