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
make -C "$top_builddir" rpm RPMBUILD_FLAGS="--nodeps --define 'optflags -O0' --define '_binary_payload w1.gzdio'" >"$log" 2>&1 </dev/null || { tail -n 30 "$log" >&2; fail "make rpm"; }

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

say "both shells complete the options of --help, and no others, and the domains that there are"
for name in web1 db-2; do
    echo "<domain type='qemu'><name>$name</name><memory>65536</memory><os><type>hvm</type></os></domain>" >"$log"
    virsh -q define "$log"
done
python3 "$top/tests/packages/completion.py" bash "$top/packaging/completion/vmcompact.bash" "$top_builddir/vmcompact" >&2 || fail "completion in bash"
python3 "$top/tests/packages/completion.py" zsh "$top/packaging/completion/_vmcompact" "$top_builddir/vmcompact" >&2 || fail "completion in zsh"
virsh -q undefine web1
virsh -q undefine db-2

say "the dashboard asks for the metrics that vmcompact writes, and for all of them"
metrics=$(mktemp -d)
"$top_builddir/vmcompact" -c test:///default --all --metrics-dir="$metrics" >"$log" 2>&1 || true # nothing there can be compacted
python3 - "$metrics/vmcompact.prom" "$top" <<'PY' || fail "the dashboard"
import json, re, sys
written = set(re.findall(r"^# TYPE (\w+)", open(sys.argv[1]).read(), re.M))
panels = json.load(open(sys.argv[2] + "/packaging/grafana/vmcompact.json"))["panels"]
asked = {name for panel in panels for target in panel["targets"] for name in re.findall(r"vmcompact_\w+", target["expr"])}
if asked != written:
    sys.exit(f"not written: {sorted(asked - written)}; not asked for: {sorted(written - asked)}")
PY
rm -r "$metrics"

say "the shipped configuration: each key is one that the program takes, commented out"
grep -q '^[^#]' "$top/packaging/config/vmcompact.conf" && fail "it changes something"
sed -n 's/^#\([a-z-]* = \)/\1/p' "$top/packaging/config/vmcompact.conf" >"$log"
chmod 600 "$log"
"$top_builddir/vmcompact" --config="$log" -c test:///default --status test >/dev/null || fail "a key or value in it is wrong"

say "cron would take each line, that of the night as well"
sed 's/^#\([0-9]\)/\1/; s/ root / /' "$top/packaging/cron/vmcompact" >"$log"
[ "$(grep -c ' vmcompact --\(all\|recover\)$' "$log")" = 2 ] || fail "not one line for the boot and one for the night"
crontab -n "$log" >/dev/null || fail "cron does not take it"

say "installed by hand, a configuration of one's own stays"
install=$(mktemp -d)
mkdir -p "$install/etc/vmcompact"
echo "jobs = 2" >"$install/etc/vmcompact/vmcompact.conf"
make -C "$top_builddir" install-data DESTDIR="$install" sysconfdir=/etc >"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; fail "make install-data"; }
[ "$(cat "$install/etc/vmcompact/vmcompact.conf")" = "jobs = 2" ] || fail "it was overwritten"
[ -e "$install/etc/cron.d/vmcompact" ] || fail "there was no installation"
rm -r "$install"

say "a host with systemd"
"$bed/systemd-host" /bin/bash "$top/tests/packages/night.sh"
