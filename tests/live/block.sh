# Disks that are no files: a block device is committed with discards in place of holes, with its overlay elsewhere; it is guarded in
# the guest's QEMU's own /dev, too; a disk on the network is trimmed only. One bad disk does not stop the others.
. "$(dirname "$0")/../bed/bed.sh"

loop=
trap '[ -z "$loop" ] || losetup -d "$loop"; cleanup_bed' EXIT
mkdir "$work/overlays"
chmod 777 "$work/overlays"

block_disk ()           # TARGET DEVICE FORMAT
{
    printf "<disk type='block' device='disk'><driver name='qemu' type='%s' cache='none'/><source dev='%s'/><target dev='%s' bus='virtio'/></disk>\n" "$3" "$2" "$1"
}

restart_libvirtd ()     # with the mount namespaces that it has by default: QEMU gets a /dev of its own
{
    sed -i 's/^namespaces = .*/namespaces = [ "mount" ]/' /etc/libvirt/qemu.conf
    kill "$(cat /run/libvirtd.pid)"
    while [ -e /run/libvirtd.pid ] && kill -0 "$(cat /run/libvirtd.pid)" 2>/dev/null; do sleep 0.1; done
    libvirtd -d
    while ! virsh -q list >/dev/null 2>&1; do sleep 0.1; done
}
restart_libvirtd

make_image raw raw 512 300 60 mbr
make_image net raw 300 200 40 mbr
mv "$images/raw.raw" "$work/behind.raw"
mv "$images/net.raw" "$work/net.raw"
make_image bad qcow2 300 200 40 mbr
loop=$(losetup -f --show "$work/behind.raw")
ln -s "$loop" "$work/disk" # as LVM names its volumes: an absolute link, which leads to QEMU's own /dev only in QEMU's root
qemu-nbd --fork --persistent --shared=4 --format=raw --discard=unmap --socket="$work/nbd.sock" "$work/net.raw"
chmod 777 "$work/nbd.sock"
chmod 711 "$work"
define_guest g "$(disk_xml vda "$images/bad.qcow2")" "$(block_disk vdb "$work/disk" raw)" \
    "<disk type='network' device='disk'><driver name='qemu' type='raw' discard='unmap'/><source protocol='nbd'><host transport='unix' socket='$work/nbd.sock'/></source><target dev='vdc' bus='virtio'/></disk>"
start_guest g
guest g "mkdir /a /b /c; mount -o ro /dev/vda1 /a; mount /dev/vdb1 /b; mount /dev/vdc1 /c"
start_agent g
start_writers g /b 2
remember g

say "a block device has no place for an overlay beside it"
refuse 3 "name one with --overlay-dir" "$vmcompact" --disk=vdb g
say "nothing can take its place"
refuse 3 "which no new image can take the place of" "$vmcompact" --disk=vdb --method=convert --overlay-dir="$work/overlays" g
say "of a disk on the network nothing is here"
refuse 3 "it is a disk on the network (nbd)" "$vmcompact" --disk=vdc --method=commit g

say "all disks: the first one cannot be done, the others are; the guard is in QEMU's own /dev, too"
node () { stat -c '%d:%i' "$1$loop"; }
[ "$(node "/proc/$(cat /run/libvirt/qemu/g.pid)/root")" != "$(node "")" ] || fail "QEMU has no /dev of its own"
touch "$work/overlays/$(virsh domuuid g)-vda.vmcompact-overlay"
before=$(allocated "$work/behind.raw") net=$(allocated "$work/net.raw")
expect_status 3 "$vmcompact" -v --overlay-dir="$work/overlays" --json g
cat "$work/out"
expect_text "$work/err" "g (vda): the file '.*' is in the way"
[ "$(grep -c '^vmcompact: g' "$work/err")" = 1 ] || fail "more than one disk failed"
rm "$work/overlays"/*
free=$(guest g "set -- \$(stat -f -c '%f %S' /b); echo \$((\$1 * \$2))")
came=$((before - $(allocated "$work/behind.raw")))
say "free in the guest $((free >> 20)) MiB; came back of the block device $((came >> 20)) MiB, of the disk on the network $(((net - $(allocated "$work/net.raw")) >> 20)) MiB"
[ "$came" -gt $((170 * 1048576)) ] || fail "the block device gave nothing back"
[ $((net - $(allocated "$work/net.raw"))) -gt $((100 * 1048576)) ] || fail "the disk on the network gave nothing back"
python3 - "$work/out" <<'PY' || fail "the report does not say what is known"
import json, sys
vda, vdb, vdc = json.load(open(sys.argv[1]))["disks"]
assert "in the way" in vda["error"] and vda["method"] is None, vda
assert (vdb["method"], vdb["error"], vdb["reclaimed_bytes"], vdb["allocated_after_bytes"]) == ("commit", None, None, None), vdb
assert (vdc["method"], vdc["error"], vdc["reclaimed_bytes"]) == ("trim", None, None), vdc
PY
seen "raw on a block device, with --overlay-dir" "$(outcome vdb), with discards"
seen "a disk on the network (NBD), discard='unmap'" "$(outcome vdc)"
check_same g

say "somebody else commits into the block device while it is guarded: QEMU refuses"
expect_status 0 "$bed/at-step" "vdb: read the base" "virsh blockcommit g vdb --active --shallow --wait >$work/commit 2>&1; true" -- "$vmcompact" -v --disk=vdb --overlay-dir="$work/overlays" g
grep -q 'Failed to get "write" lock' "$work/commit" || { cat "$work/commit" >&2; fail "the commit of somebody else was not refused"; }
check_same g

say "killed in the middle, and recovered"
faulty=$top_builddir/tests/faults/vmcompact
VMC_FAULT_POINT=punch VMC_FAULT_ACTION='kill -9 $PID' expect_status 137 "$faulty" -q --disk=vdb --overlay-dir="$work/overlays" g
virsh domblklist g | grep -q "vmcompact-overlay" || fail "it was not killed where it should have been"
expect_status 0 "$vmcompact" --recover g
check_same g

check_writers g /b
for at in a b c; do check_files g "/$at"; done
guest g "killall vmcompact-agent; sleep 0.3; umount /a /b /c" || fail "umount"
virsh -q destroy g
[ "$(stat -c %U "$loop")" = root ] || fail "the device belongs to somebody else now"
losetup -d "$loop"
loop=
e2fsck -fn "$work/behind.raw?offset=1048576" >"$work/e2fsck.log" 2>&1 || { cat "$work/e2fsck.log"; fail "e2fsck"; }

say "a block device at rest is left alone: nothing would keep the domain from being started"
loop=$(losetup -f --show "$work/behind.raw")
ln -sfn "$loop" "$work/disk"
expect_status 3 "$vmcompact" --disk=vdb g
expect_text "$work/err" "it can be compacted while the domain runs"

say "killed in the middle; then the guest is switched off"
start_guest g
guest g "mkdir /b; mount -o noinit_itable /dev/vdb1 /b && dd if=/dev/urandom of=/b/waste bs=1M count=40 conv=fsync 2>/dev/null && rm /b/waste && sync" || fail "waste"
start_agent g
remember g
VMC_FAULT_POINT=punch VMC_FAULT_ACTION='kill -9 $PID' expect_status 137 "$faulty" -q --disk=vdb --overlay-dir="$work/overlays" g
virsh -q destroy g
expect_status 0 "$vmcompact" --recover g
[ -z "$(ls "$work/overlays")" ] || fail "the overlay is left"
virsh dumpxml --inactive g | diff "$work/g.inactive" - || fail "the inactive XML changed"

say "somebody starts the domain anew on the block device, past the guard, while it is given back: nothing more of it is"
start_guest g
guest g "mkdir /b; mount -o noinit_itable /dev/vdb1 /b && dd if=/dev/urandom of=/b/waste bs=1M count=40 conv=fsync 2>/dev/null && rm /b/waste && sync" || fail "waste"
start_agent g
virsh dumpxml --inactive g >"$work/base.xml"
sync "$work/behind.raw" # what is not yet written counts, too, and not exactly
before=$(allocated "$work/behind.raw") status=0
VMC_FAULT_POINT=punching VMC_FAULT_ACTION="(virsh destroy g; virsh define $work/base.xml; virsh start g) >$work/again 2>&1" \
    "$faulty" -q --disk=vdb --overlay-dir="$work/overlays" g 2>"$work/err" || status=$?
grep -q "'g' started" "$work/again" || { cat "$work/again" >&2; fail "it was not started"; }
cat "$work/err"
[ $status != 0 ] || fail "the run did not notice"
went=$((before - $(allocated "$work/behind.raw")))
[ $went -lt 4194304 ] || fail "$went bytes were discarded below the guest"
virsh -q destroy g
