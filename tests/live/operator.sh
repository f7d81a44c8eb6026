# What an operator asks first: --status, --doctor and --setup, on a guest that has no channel yet and on one that has all.
. "$(dirname "$0")/../bed/bed.sh"

json ()                 # EXPRESSION - of the JSON objects in $work/out: "lines" is their list
{
    python3 -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
print(eval(sys.argv[2]))' "$work/out" "$1"
}
holds () { [ "$(json "$1")" = True ] || { cat "$work/out" >&2; fail "this does not hold: $1"; }; }
level () { json "[f['level'] for f in lines[0]['findings'] if f['where'] == '$1'][0]"; }
command_of () { json "[f['command'] for f in lines[0]['findings'] if f['where'] == '$1'][0]"; }

make_image g qcow2 768 400 100 mbr
VMC_CHANNEL=org.example.other.0 define_guest g "$(disk_xml vda "$images/g.qcow2")"
start_guest g
guest g "mount /dev/vda1 /mnt"
remember g

say "without a channel: the doctor says so, and its command mends it while the guest runs"
expect_status 3 "$vmcompact" --doctor --json g
[ "$(level agent)" = stop ] || fail "the agent that is missing does not count"
holds "lines[0]['disks'][0]['commit'] != 'yes'"
mend=$(command_of agent)
[ "$mend" = "vmcompact --setup g" ] || fail "another command: $mend"
expect_status 0 "$vmcompact" --status --json g
holds "lines[0]['agent'] is None and lines[0]['disks'][0]['reclaimable_bytes'] is None and 'no channel' in lines[0]['disks'][0]['reason']"
expect_status 0 "$vmcompact" --setup -n g
expect_text "$work/out" "would be done: the channel for the agent, while it runs"
check_same g
expect_status 0 "$vmcompact" ${mend#vmcompact }
virsh dumpxml g | grep -q "name='org.vmcompact.agent.0'" || fail "no channel while it runs"
virsh dumpxml --inactive g | grep -q "name='org.vmcompact.agent.0'" || fail "no channel in the persistent XML"
expect_status 0 "$vmcompact" --setup g
[ ! -s "$work/out" ] || fail "a second time there is nothing to do"

guest g "name_ports" # what udev does in a whole guest

say "with the agent: all layers, the commit can be done, and discard is named with its command"
start_agent g
expect_status 0 "$vmcompact" --doctor --json g
[ "$(level agent)" = ok ] || fail "the agent does not answer"
holds "lines[0]['disks'][0]['commit'] == lines[0]['disks'][0]['convert'] == 'yes' != lines[0]['disks'][0]['trim']"
[ "$(level vda)" = note ] || fail "the missing discard is not named"
[ "$(command_of vda)" = "vmcompact --setup --discard --disk=vda g" ] || fail "another command"
expect_status 0 "$vmcompact" --doctor g
expect_text "$work/out" "^  yes   vda commit"

say "the status before and after a run"
remember g
expect_status 0 "$vmcompact" --status --json
holds "len(lines) == 1 and lines[0]['state'] == 'running' and lines[0]['agent'].startswith('vmcompact-agent ')"
holds "lines[0]['disks'][0]['last_run'] is None and lines[0]['disks'][0]['reclaimable_bytes'] > 200 << 20"
holds "lines[0]['disks'][0]['allocated_bytes'] == $(allocated "$images/g.qcow2") and lines[0]['disks'][0]['virtual_bytes'] == 768 << 20"
check_same g
mkdir "$work/metrics"
expect_status 0 "$vmcompact" --json --metrics-dir="$work/metrics" g
back=$(json "lines[0]['disks'][0]['reclaimed_bytes']")
expect_status 0 "$vmcompact" --status --json g
holds "lines[0]['disks'][0]['last_run']['result'] == 'done' and lines[0]['disks'][0]['last_run']['reclaimed_bytes'] == $back > 200 << 20"
holds "lines[0]['disks'][0]['reclaimable_bytes'] < 32 << 20"
expect_status 0 "$vmcompact" --status g
expect_text "$work/out" "last run .*: done, .* reclaimed by commit .* in [0-9.]* s"

say "the metrics are those of the run"
expect_text "$work/metrics/vmcompact.prom" '^vmcompact_success{domain="g",disk="vda"} 1$'
expect_text "$work/metrics/vmcompact.prom" "^vmcompact_reclaimed_bytes{domain=\"g\",disk=\"vda\"} $back\$"
[ "$(stat -c %a "$work/metrics/vmcompact.prom")" = 644 ] || fail "not everybody can read the metrics"
expect_status 1 "$vmcompact" --metrics-dir="$work/nowhere" g
expect_text "$work/err" "cannot write the metrics"

say "a disk with less to give back than --min-reclaim is left alone"
expect_status 0 "$vmcompact" --json --min-reclaim=100M g
holds "lines[0]['result'] == 'done' and lines[0]['disks'][0]['method'] is None and lines[0]['disks'][0]['reclaimed_bytes'] == 0"
expect_status 0 "$vmcompact" -n --json --min-reclaim=100M g
holds "lines[0]['disks'][0]['method'] is None and lines[0]['disks'][0]['reclaimed_bytes'] is None"
check_same g

say "a failure: the log has it, the command for it is run, the metrics know"
mkdir -p /run/systemd/journal
python3 - "$work/journal" <<'PY' &
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind("/run/systemd/journal/socket")
open(sys.argv[1] + ".ready", "w").close()
with open(sys.argv[1], "wb", 0) as log:
    while True:
        log.write(listener.recv(65536) + b"--\n")
PY
until [ -e "$work/journal.ready" ]; do sleep 0.1; done
guest g "killall vmcompact-agent; sleep 0.3" >/dev/null
printf 'metrics-dir = %s\n# a comment\non-failure = (env | grep ^VMCOMPACT_ | sort; cat) >%s\n' "$work/metrics" "$work/called" >"$work/conf"
expect_status 3 "$vmcompact" --config="$work/conf" g
[ "$(wc -l <"$work/err")" = 1 ] || fail "not one sentence"
expect_text "$work/called" '^VMCOMPACT_DOMAIN=g$'
expect_text "$work/called" '^VMCOMPACT_STATUS=3$'
expect_text "$work/called" '^VMCOMPACT_RESULT=no-agent$'
expect_text "$work/called" '^VMCOMPACT_ERROR=vda: no agent has the channel open'
expect_text "$work/called" '^{"domain":"g",.*"result":"no-agent"'
expect_text "$work/metrics/vmcompact.prom" '^vmcompact_success{domain="g",disk="vda"} 0$'
expect_text "$work/journal" '^VMCOMPACT_DISK=vda$'
expect_text "$work/journal" '^PRIORITY=3$'
expect_text "$work/journal" '^VMCOMPACT_RESULT=no-agent$'
expect_text "$work/journal" '^MESSAGE=g (vda): no agent'
expect_status 1 "$vmcompact" --config="$work/conf" --on-failure='echo broken >&2; false' g
expect_text "$work/err" "on-failure: .*broken"
start_agent g

say "discard, from the next start on: then a trim is enough"
expect_status 0 "$vmcompact" --setup --discard g
expect_text "$work/out" "discard='unmap' on 1 disk,"
virsh dumpxml g | grep -q "discard='unmap'" && fail "the running domain cannot have it"
stop_guest g
rm "$work/g.console"
start_guest g
guest g "mount /dev/vda1 /mnt"
start_agent g
expect_status 0 "$vmcompact" --doctor --json g
holds "lines[0]['disks'][0]['trim'] == 'yes'"
[ "$(level vda)" = ok ] || fail "discard is there"
guest g "dd if=/dev/zero of=/mnt/more bs=1M count=150 2>/dev/null; sync; rm /mnt/more; sync"
expect_status 0 "$vmcompact" --json g
holds "lines[0]['disks'][0]['method'] == 'trim' and lines[0]['disks'][0]['reclaimed_bytes'] > 100 << 20"
check_files g /mnt

say "off: what its disks could give back is known without a guest"
stop_guest g
expect_status 0 "$vmcompact" --status --json g
holds "lines[0]['state'] == 'off' and lines[0]['agent'] is None and lines[0]['disks'][0]['used_bytes'] > 0"
expect_status 0 "$vmcompact" --doctor --json g
[ "$(level domain)" = note ] || fail "the doctor has not seen that it is off"

say "a domain without any channel gets the controller for one, too, from its next start on"
virsh dumpxml --inactive g | python3 -c 'import re, sys
text = re.sub(r"<uuid>.*?</uuid>|<channel .*?</channel>|<controller type=.virtio-serial.*?</controller>|<disk .*?</disk>", "", sys.stdin.read(), flags=re.S)
print(text.replace("<name>g</name>", "<name>bare one</name>"))' >"$work/bare.xml"
virsh -q define "$work/bare.xml"
virsh -q start "bare one"
expect_status 3 "$vmcompact" --doctor --json "bare one"
[ "$(command_of agent)" = "vmcompact --setup 'bare one'" ] || fail "another command"
expect_status 0 "$vmcompact" --setup "bare one"
expect_text "$work/out" "from its next start on only"
virsh dumpxml --inactive "bare one" | grep -q "name='org.vmcompact.agent.0'" || fail "no channel in the persistent XML"

say "what makes no sense changes nothing"
expect_status 2 "$vmcompact" --status nobody
expect_text "$work/err" "nobody: there is no such domain"
expect_status 2 "$vmcompact" --doctor
expect_status 2 "$vmcompact" --setup nobody
expect_status 2 "$vmcompact" --status --doctor g
echo "jobs = many" >"$work/conf"
expect_status 2 "$vmcompact" --config="$work/conf" g
expect_text "$work/err" "conf, line 1: --jobs needs a number"
expect_status 0 "$vmcompact" --config="$work/conf" --recover
