# What is refused: the exit status, one sentence, and nothing changed. And what looks like it but is not refused.
. "$(dirname "$0")/../bed/bed.sh"

make_image g qcow2 256 100 20 mbr
make_image ro raw 64 20 5 disk
make_image shared raw 64 20 5 disk
make_image careless raw 64 20 5 disk
make_image snap qcow2 64 20 5 disk
qemu-img snapshot -c one "$images/snap.qcow2"
make_image template qcow2 256 100 20 disk
qemu-img create -q -f qcow2 -b "$images/template.qcow2" -F qcow2 "$images/clone.qcow2"
qemu-img create -q -f qcow2 -b "$images/g.qcow2" -F qcow2 "$images/child.qcow2"

define_guest g "$(disk_xml vda "$images/g.qcow2")" "$(disk_xml vdb "$images/ro.raw" "" "<readonly/>")" \
    "$(disk_xml vdc "$images/shared.raw" "cache='none'" "<shareable/>")" "$(disk_xml vdd "$images/snap.qcow2")" \
    "$(disk_xml vde "$images/clone.qcow2")" "$(disk_xml vdf "$images/careless.raw" "error_policy='report'")"
VMC_CHANNEL=org.example.other define_guest silent "$(disk_xml vda "$images/g.qcow2")"
guest_xml=$work/g.define.xml
remember g

refuse 3 "not running" "$vmcompact" --method=trim --disk=vda g
start_guest g
guest g "mkdir -p /ro /shared /snap /clone /careless; mount -r /dev/vda1 /mnt; mount -r /dev/vdb /ro; mount -r /dev/vdc /shared; mount -r /dev/vdd /snap; mount -r /dev/vde /clone; mount -r /dev/vdf /careless"
remember g
refuse 3 "no agent has the channel open" "$vmcompact" --disk=vda g
start_agent g

refuse 3 "read-only" "$vmcompact" --disk=vdb g
refuse 3 "shareable" "$vmcompact" --disk=vdc g
refuse 3 "internal snapshots" "$vmcompact" --disk=vdd g
refuse 3 "error_policy='report'" "$vmcompact" --disk=vdf g
refuse 3 "'silent' uses the same file" "$vmcompact" --disk=vda g
refuse 2 "no such domain" "$vmcompact" nobody
refuse 2 "no disk 'vdz'" "$vmcompact" --disk=vdz g
refuse 2 "--method cannot be" "$vmcompact" --method=magic g
refuse 2 "no option '--bogus'" "$vmcompact" --bogus g
refuse 2 "name at least one domain" "$vmcompact"
refuse 2 "number of seconds" "$vmcompact" --timeout=soon g
refuse 2 "absolute path" "$vmcompact" --overlay-dir=here g
refuse 3 "cannot look at the directory" "$vmcompact" --disk=vde --overlay-dir=/nonexistent g

virsh -q undefine silent
sed "s,$images/g.qcow2,$images/child.qcow2,; s,<name>g<,<name>child<,; /vd[bcdef]/d; s,$work/g.,$work/child.,g" "$guest_xml" >"$work/child.xml"
virsh -q define "$work/child.xml"
refuse 3 "'child' uses the same file" "$vmcompact" --disk=vda g
virsh -q undefine child

touch "$images/g.qcow2.vmcompact-overlay"; remember g
refuse 3 "is in the way" "$vmcompact" --disk=vda g
[ -e "$images/g.qcow2.vmcompact-overlay" ] || fail "somebody's file was removed"
rm "$images/g.qcow2.vmcompact-overlay"; remember g

refuse 3 "can be mapped: it is mounted read-only" "$vmcompact" --disk=vda g
guest g "mount -o remount,rw,noinit_itable /mnt; sync" # without the thread that goes on writing

say "a dry run changes nothing"
sums=$(stat -c '%n %b %Y %s' "$images"/*)
expect_status 0 "$vmcompact" -n --disk=vda g
expect_text "$work/out" "commit"
[ "$(stat -c '%n %b %Y %s' "$images"/*)" = "$sums" ] || fail "the dry run changed an image"
check_same g

say "a backing file that others share is fine: it is never written"
sum=$(md5sum <"$images/template.qcow2")
guest g "mount -o remount,rw /clone; for i in 1 2 3 4; do dd if=/dev/urandom of=/clone/big\$i bs=1M count=20 2>/dev/null; done; sync; rm /clone/big[123]; sync"
before=$(allocated "$images/clone.qcow2")
expect_status 0 "$vmcompact" --disk=vde g
[ $((before - $(allocated "$images/clone.qcow2"))) -gt $((40 * 1048576)) ] || fail "the clone's own layer did not shrink"
[ "$(md5sum <"$images/template.qcow2")" = "$sum" ] || fail "the template was written to"
check_same g
check_files g /clone

say "found by id and by UUID; one line of JSON with the promised names; no escape codes when not on a terminal"
expect_status 0 "$vmcompact" -n --json --disk=vda "$(virsh domid g)"
python3 - "$work/out" <<'PY' || fail "the JSON is not what is promised"
import json, sys
line, = open(sys.argv[1])
domain = json.loads(line)
assert list(domain) == ["domain", "uuid", "result", "disks"], list(domain)
assert list(domain["disks"][0]) == ["target", "path", "format", "method", "reason", "virtual_bytes", "free_bytes",
    "reclaimable_bytes", "allocated_before_bytes", "allocated_after_bytes", "reclaimed_bytes", "frozen_ms", "duration_ms",
    "peak_overlay_bytes", "error"]
PY
expect_status 0 "$vmcompact" -v -n --disk=vda "$(virsh domuuid g | head -1)"
grep -q $'\033' "$work/out" "$work/err" && fail "an escape code without a terminal"

say "a second run at the same time is busy, at once"
expect_status 0 "$bed/at-step" freeze "$vmcompact --disk=vda g 2>$work/second; echo \$? >$work/second.status" -- "$vmcompact" -v --disk=vda g
[ "$(cat "$work/second.status")" = 6 ] || fail "the second run ended with $(cat "$work/second.status")"
expect_text "$work/second" "another vmcompact"

say "silent when it is not asked to speak"
expect_status 0 "$vmcompact" --disk=vda g
[ -s "$work/out" ] || [ -s "$work/err" ] && fail "it printed something"
check_same g
check_files g /mnt
