# On a host with systemd: install the packages, have a guest compacted by the timer's service, recover at boot, remove (packages.sh)
. "$(dirname "$0")/../bed/bed.sh"

vmcompact=/usr/sbin/vmcompact
packages=$top_builddir/packages/deb
installed () { (cd / && find etc usr/sbin usr/share/vmcompact lib/systemd/system var/lib -name '*vmcompact*' ! -path '*/dpkg/*' 2>/dev/null | sort); }

say "installed: nothing runs by itself yet, but the recovery at boot is switched on"
installed >"$work/before"
rm -f /usr/sbin/policy-rc.d # of the machine below: it would keep a package from what it does on a host
dpkg -i "$packages"/vmcompact_*.deb "$packages"/vmcompact-agent_*.deb >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "dpkg"; }
systemctl daemon-reload
[ "$(systemctl is-enabled vmcompact-recover.service)" = enabled ] || fail "the recovery is not switched on"
[ "$(systemctl is-enabled vmcompact.timer 2>&1)" = disabled ] || fail "the timer is switched on"
systemctl -q is-active vmcompact.timer vmcompact.service vmcompact-agent.service && fail "something runs"
for unit in vmcompact.service vmcompact.timer vmcompact-recover.service vmcompact-agent.service; do
    SYSTEMD_LOG_LEVEL=err systemd-analyze verify --man=no $unit >"$work/log" 2>&1 && [ ! -s "$work/log" ] || { cat "$work/log" >&2; fail "systemd-analyze of $unit"; }
done
man -w vmcompact vmcompact-agent vmcompact.conf vmcompact-protocol >/dev/null 2>&1 || ls /usr/share/man/man5/vmcompact.conf.5.gz >/dev/null
"$vmcompact" --version

if [ -n "$VMC_WHOLE_GUEST" ]; then
    . "$(dirname "$0")/whole-guest.sh"
else
    make_image g qcow2 400 250 60 disk
    define_guest g "$(disk_xml vda "$images/g.qcow2")"
    agent=/usr/sbin/vmcompact-agent
    start_guest g
    guest g "mount /dev/vda /mnt"
    start_agent g
    check_guest () { check_files g /mnt; }
    guest_waste () { guest g "dd if=/dev/zero of=/mnt/more bs=1M count=60 2>/dev/null; sync; rm /mnt/more; sync"; }
fi
before=$(allocated "$images/g.qcow2")
remember g

say "a night: by the timer, with metrics"
mkdir -p /var/lib/prometheus/node-exporter
sed -i 's/^#\(metrics-dir\)/\1/' /etc/vmcompact/vmcompact.conf
mkdir -p /etc/systemd/system/vmcompact.timer.d
printf '[Timer]\nOnCalendar=\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=1ms\n' >/etc/systemd/system/vmcompact.timer.d/soon.conf
systemctl daemon-reload
systemctl start vmcompact.timer
for _ in $(seq 1200); do
    ended=$(systemctl show -P ExecMainExitTimestampMonotonic vmcompact.service)
    [ "${ended:-0}" != 0 ] && break
    sleep 0.1
done
journalctl -q --no-pager -u vmcompact.service >"$work/journal"
[ "$(systemctl show -P Result vmcompact.service)/$(systemctl show -P ExecMainStatus vmcompact.service)/$ended" != "success/0/0" ] || fail "the service has not run"
[ "$(systemctl show -P Result vmcompact.service)/$(systemctl show -P ExecMainStatus vmcompact.service)" = success/0 ] || { cat "$work/journal" >&2; fail "the service failed"; }
back=$((before - $(allocated "$images/g.qcow2")))
say "$((back >> 20)) of $((before >> 20)) MiB came back"
[ $((back * 100)) -gt $((before * ${least_percent:-60})) ] || { cat "$work/journal" >&2; fail "only $back of $before bytes came back"; }
grep -q '^vmcompact_success{domain="g",disk="vda"} 1$' /var/lib/prometheus/node-exporter/vmcompact.prom || fail "no metrics"
journalctl -q --no-pager -o json VMCOMPACT_DOMAIN=g | python3 -c '
import json, sys
entries = [json.loads(line) for line in sys.stdin]
assert len(entries) == 1 and entries[0]["VMCOMPACT_RESULT"] == "done" and int(entries[0]["VMCOMPACT_RECLAIMED_BYTES"]) > 0, entries
assert entries[0]["SYSLOG_IDENTIFIER"] == "vmcompact" and entries[0]["PRIORITY"] == "6", entries' || fail "the journal"
[ "$(grep -vc 'systemd\[1\]' "$work/journal")" -le 1 ] || { cat "$work/journal" >&2; fail "it was not silent"; }
check_same g
check_guest
ls /var/lib/vmcompact/*.journal 2>/dev/null && fail "a journal is left"

say "what it may do is enough for a convert, too"
printf 'method = convert\nmin-reclaim = 0\n' >>/etc/vmcompact/vmcompact.conf
systemctl start vmcompact.service || { journalctl -q --no-pager -u vmcompact.service >&2; fail "the service failed"; }
"$vmcompact" --status --json g | grep -q '"method":"convert","reclaimed_bytes"' || fail "it was not converted"
check_guest

say "stopped in the middle, the service brings the domain home"
sed -i '/^method\|^min-reclaim/d' /etc/vmcompact/vmcompact.conf
printf 'min-reclaim = 0\n' >>/etc/vmcompact/vmcompact.conf
remember g
guest_waste
systemctl start --no-block vmcompact.service
for _ in $(seq 500); do [ -e "$images/g.qcow2.vmcompact-overlay" ] && break; sleep 0.01; done
[ -e "$images/g.qcow2.vmcompact-overlay" ] || fail "there was no overlay to be seen"
systemctl stop vmcompact.service
check_same g
ls /var/lib/vmcompact/*.journal 2>/dev/null && fail "a journal is left"
check_guest

say "the recovery at boot"
systemctl restart vmcompact-recover.service || { journalctl -q --no-pager -u vmcompact-recover.service >&2; fail "the recovery"; }
virsh -q destroy g

say "cron: nothing where systemd is at work, and the line of the night is switched off"
python3 - /etc/cron.d/vmcompact <<'PY' || fail "the cron file"
import re, sys
lines = [line for line in open(sys.argv[1]).read().split("\n") if line]
jobs = [line for line in lines if re.match(r"#?(@reboot|[0-9*]+ [0-9*]+ \S+ \S+ \S+) root \[ -d /run/systemd/system \] \|\| .* vmcompact --(all|recover)$", line)]
others = [line for line in lines if line not in jobs and not re.match(r"#|[A-Z]+=", line)]
assert len(jobs) == 2 and not others, lines
for job in jobs:
    print(job.split(" root ", 1)[1])
PY

say "removed: nothing is left but what the administrator has changed, purged: nothing at all"
dpkg -r vmcompact vmcompact-agent >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "dpkg -r"; }
[ -e /etc/vmcompact/vmcompact.conf ] && [ ! -e /usr/sbin/vmcompact ] || fail "not removed as it should be"
systemctl -q is-active vmcompact.timer && fail "the timer would start what is not there any more"
dpkg -P vmcompact vmcompact-agent >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "dpkg -P"; }
rm -rf /etc/systemd/system/vmcompact.timer.d /var/lib/prometheus/node-exporter/vmcompact.prom
installed | diff "$work/before" - || fail "something is left"
