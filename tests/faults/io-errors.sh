# The host's disk fails while the overlay is committed into the base: once, when it is synced, some times, for good. The run
# tries again; when that does not help, the domain stays on its overlay, says so, and comes home when the disk is well again.
. "$(dirname "$0")/faults.sh"

new_guest
run="$vmcompact --method=commit g"
base=$images/g.qcow2 overlay=$images/g.qcow2.vmcompact-overlay

# inject BASE RULE... - QEMU's blkdebug between the base and its file, without RULE: away with it. In a running guest: a
# wrapper around QEMU would be there from the start, for the guest's own writes, too.
cat >"$work/inject" <<'PY'
import json, subprocess, sys

def qmp (command, **arguments):
    text = json.dumps ({"execute": command, "arguments": arguments})
    out = subprocess.run (["virsh", "qemu-monitor-command", "g", text], capture_output=True, text=True, check=True).stdout
    answer = json.loads (out)
    if "error" in answer:
        sys.exit (f"{command}: {answer['error']['desc']}")
    return answer["return"]

base, rules = sys.argv[1], [json.loads (rule) for rule in sys.argv[2:]]
# Over blkdebug its file name is a "json:" one.
node, = [n for n in qmp ("query-named-block-nodes") if n["drv"] == "qcow2" and base in json.dumps (n["image"])
         and base + ".vmcompact-overlay" not in json.dumps (n["image"])]
name = node["node-name"]
file = name.replace ("-format", "-storage")
if rules:
    qmp ("blockdev-add", **{"driver": "blkdebug", "node-name": "failing", "image": file, "inject-error": rules})
qmp ("blockdev-reopen", options=[{"driver": "qcow2", "node-name": name, "read-only": node["ro"], "backing": None,
                                  "file": "failing" if rules else file}])
if not rules:
    qmp ("blockdev-del", **{"node-name": "failing"})
PY
inject="python3 $work/inject $base"
rule () { printf "'{\"event\": \"none\", \"iotype\": \"%s\", \"errno\": %s, \"once\": %s}'" "$1" "$2" "$3"; }

commits ()              # prints how often the run before has begun to commit
{
    grep -c '^commit$' "$work/points"
}

export VMC_FAULT_LOG=$work/points
for kind in write flush; do
    say "an I/O error, once: $kind"
    rm -f "$work/points"
    once=$(rule $kind 5 true)
    at commit "$inject $once $([ $kind = write ] || echo $once $once)" $run # a flush may come from elsewhere
    expect_end 0
    [ "$(commits)" -ge 2 ] || fail "the error has not come: $(commits) commits"
    check_same g
    check_home; check_data
    virsh -q qemu-monitor-command g '{"execute": "query-named-block-nodes"}' | grep -q '"failing"' || fail "nothing was there to fail"
    python3 "$work/inject" "$base" || fail "cannot take it away"
done

say "forty times: the run tries again until they are over"
rm -f "$work/points"
at commit "$inject $(for _ in $(seq 40); do rule write 5 true; echo; done | tr '\n' ' ')" $run
expect_end 0
say "$(commits) commits"
[ "$(commits)" -ge 2 ] || fail "the error has not come: $(commits) commits"
check_home; check_data
python3 "$work/inject" "$base" || fail "cannot take it away"

say "for good: the domain stays on its overlay, and writes"
rm -f "$work/points"
at commit "$inject $(rule write 5 false)" $run
expect_end 5 "an I/O error"
[ "$(commits)" -gt 2 ] || fail "the error has not come: $(commits) commits"
[ "$(wc -l <"$work/err")" = 1 ] || fail "not one sentence"
[ -e "$overlay" ] || fail "the overlay is gone"
check_writing; check_data

say "the guest ends, the disk is well again"
note_synced
virsh -q destroy g
recover 0
check_nothing_left
[ ! -e "$overlay" ] || fail "the overlay is still there"
virsh dumpxml --inactive g | diff "$work/g.inactive" - || fail "the inactive XML changed"
boot_guest
check_home; check_data
[ "${checked_synced:-0}" -gt 0 ] || fail "the writers synced too little to prove anything"
end_guest
