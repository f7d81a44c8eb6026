# What is refused that only libvirt, QEMU, the guest or the host's filesystems can bring about: odd disks, one file with
# several names, jobs, checkpoints, somebody else's lock or freeze. And a bitmap of somebody else's, which is not refused.
. "$(dirname "$0")/../bed/bed.sh"

mount_at ()             # NAME MOUNT_ARGUMENT... - mount it on /run/NAME: /run is the world's own and goes with it
{
    local place=/run/$1; shift
    mkdir "$place"
    mount "$@" "$place"
}
image () { qemu-img create -q "$@" >/dev/null; }
change () { sed "s|$1|$2|"; }
compact () { "$vmcompact" --disk="$@" g; }

# --- disks --------------------------------------------------------------------------------------------------------

make_image g qcow2 256 100 20 disk
make_image h raw 64 20 5 disk
make_image full qcow2 64 20 5 disk
make_image flat raw 32 10 5 disk
mount_at flat -t ramfs none
cp --sparse=always "$images/flat.raw" /run/flat/
qemu-img bitmap --add "$images/g.qcow2" somebodys

image -f vmdk "$images/odd.vmdk" 1M
image -f vdi "$images/odd.vdi" 1M
for name in lasting sliced ide sata cd; do image -f raw "$images/$name.raw" 1M; done
image -f qcow2 -o "data_file=$images/data.raw" "$images/outside.qcow2" 1M
chmod 666 "$images/data.raw" # this libvirt knows nothing of it
image -f qcow2 "$images/named.qcow2" 1M
image -f qcow2 "$images/given.qcow2" 1M
image -f qcow2 -b "$images/named.qcow2" -F qcow2 "$images/astray.qcow2"
image -f qcow2 "$images/kept.qcow2" 1M
qemu-img snapshot -c one "$images/kept.qcow2"
image -f qcow2 -b "$images/kept.qcow2" -F qcow2 "$images/over.qcow2"
image -f qcow2 -b "$images/full.qcow2" -F qcow2 "$images/pulled.qcow2"

printf 'open sesame' >"$work/passphrase"
secret=$(cat /proc/sys/kernel/random/uuid)
echo "<secret ephemeral='yes' private='yes'><uuid>$secret</uuid></secret>" >"$work/secret.xml"
virsh -q secret-define "$work/secret.xml" >/dev/null
virsh -q secret-set-value "$secret" --file "$work/passphrase" --plain >/dev/null
for try in $(seq 10); do # it fails now and then: "Unable to get accurate CPU usage"
    image -f qcow2 --object "secret,id=s,file=$work/passphrase" \
        -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 "$images/locked.qcow2" 1M 2>"$work/luks.log" && break
done
encryption="<encryption format='luks'><secret type='passphrase' uuid='$secret'/></encryption>"

define_guest g "$(disk_xml vda "$images/g.qcow2")" "$(disk_xml vdb "$images/h.raw")" \
    "$(disk_xml vdc /run/flat/flat.raw)" "$(disk_xml vdd "$images/pulled.qcow2")" \
    "$(disk_xml vde "$images/odd.vmdk")" "$(disk_xml vdf "$images/odd.vdi")" \
    "$(disk_xml vdg "$images/lasting.raw" "" "<transient/>")" \
    "$(disk_xml vdh "$images/sliced.raw" | change "raw'/>" "raw'><slices><slice type='storage' offset='0' size='524288'/></slices></source>")" \
    "$(disk_xml vdi "$images/outside.qcow2")" "$(disk_xml vdj "$images/over.qcow2")" \
    "$(disk_xml vdk "$images/astray.qcow2" "" "<backingStore type='file'><format type='qcow2'/><source file='$images/given.qcow2'/></backingStore>")" \
    "$(disk_xml vdl "$images/locked.qcow2" "" "$encryption")" \
    "$(disk_xml hda "$images/ide.raw" | change virtio ide)" "$(disk_xml sdb "$images/sata.raw" | change scsi sata)" \
    "$(disk_xml hdc "$images/cd.raw" | change virtio ide | change "device='disk'" "device='cdrom'")" \
    "<disk type='file' device='cdrom'><target dev='hdd' bus='ide'/></disk>"
start_guest g
guest g "mkdir /h /flat /pulled; mount -r /dev/vda /mnt; mount -r /dev/vdb /h; mount -r /dev/vdc /flat; mount -r /dev/vdd /pulled"
start_agent g
remember g

refuse 3 "the filesystem of '/run/flat' cannot punch holes" compact vdc
refuse 3 "its format is 'vmdk'" compact vde
refuse 3 "its format is 'vdi'" compact vdf
refuse 3 "it is transient: its changes are thrown away" compact vdg
refuse 3 "it uses only a slice of its file" compact vdh
refuse 3 "keeps its data in an external data file" compact vdi
refuse 3 "backing file: the image has internal snapshots" compact vdj
refuse 3 "names another backing file than the domain" compact vdk
refuse 3 "it is encrypted" compact vdl
refuse 3 "on the bus 'ide'" compact hda
refuse 3 "on the bus 'sata'" compact sdb
refuse 3 "it is a cdrom" compact hdc
refuse 3 "it is a cdrom" compact hdd

mount_at small -t tmpfs -o size=100m none
refuse 3 "room.*see --overlay-dir" compact vda --overlay-dir=/run/small

# --- one file, several names --------------------------------------------------------------------------------------

ln -s "$images/g.qcow2" "$work/symlink.qcow2"
ln "$images/g.qcow2" "$work/hardlink.qcow2"
mount_at bound --bind "$images"
image -f qcow2 -b "$work/hardlink.qcow2" -F qcow2 "$work/above.qcow2"
for name in "$work/symlink.qcow2" "$work/hardlink.qcow2" /run/bound/g.qcow2 "$work/above.qcow2"; do
    VMC_CHANNEL=org.example.other define_guest other "$(disk_xml vda "$name")"
    refuse 3 "the domain 'other' uses the same file" compact vda
    virsh -q undefine other
done

# --- jobs ---------------------------------------------------------------------------------------------------------

slow=4096 # bytes a second: after the first piece a job rests for minutes, and touches nothing
echo "<disk type='file'><source file='$work/copy.raw'/><driver type='raw'/></disk>" >"$work/copy.xml"
virsh -q blockcopy g vdb --xml "$work/copy.xml" --bytes --bandwidth "$slow" --transient-job >/dev/null
sleep 0.3
remember g
refuse 3 "a block job is at work on it" compact vdb
virsh -q blockjob g vdb --abort
remember g

virsh -q blockpull g vdd --bytes --bandwidth "$slow" >/dev/null # which the XML does not show
sleep 0.3
refuse 3 "a block job is at work on it" compact vdd
virsh -q blockjob g vdd --abort

cat >"$work/backup.xml" <<XML
<domainbackup mode='pull'><server transport='unix' socket='$work/backup.sock'/>
  <disks><disk name='vdb' backup='yes' type='file'><scratch file='$work/scratch.qcow2'/></disk></disks></domainbackup>
XML
virsh -q backup-begin g "$work/backup.xml" >/dev/null
remember g
for disk in vda vdb; do refuse 3 "a migration, backup or save of the domain is under way" compact "$disk"; done
virsh -q domjobabort g
remember g

# --- checkpoints, locks, freezes ----------------------------------------------------------------------------------

echo "<domaincheckpoint><name>monday</name><disks><disk name='vda' checkpoint='bitmap'/></disks></domaincheckpoint>" >"$work/monday.xml"
virsh -q checkpoint-create g "$work/monday.xml" >/dev/null
refuse 3 "the domain has checkpoints" compact vda
virsh -q checkpoint-delete g monday

lock_for_writing ()     # FILE - take QEMU's lock for writing (guard.h), until $locker is killed
{
    python3 - "$1" "$work/locked" <<'PY' &
import fcntl, struct, sys, time
file = open(sys.argv[1], "rb")
fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 101, 1, 0)) # F_OFD_SETLK
open(sys.argv[2], "w")
time.sleep(60)
PY
    locker=$!
    until [ -e "$work/locked" ]; do sleep 0.05; done
    rm "$work/locked"
}
for disk in vda:g.qcow2 vdb:h.raw; do
    lock_for_writing "$images/${disk#*:}"
    refuse 3 "somebody else than the guest's QEMU has its image open for writing" compact "${disk%:*}"
    kill $locker
done

guest g "mount -o remount,rw /mnt; sync; fsfreeze --freeze /mnt"
refuse 6 "'/mnt' is already frozen by somebody else" compact vda
guest g "(touch /mnt/written; touch /tmp/written) >/dev/null 2>&1 & sleep 0.5; [ ! -e /tmp/written ]" ||
    fail "somebody else's freeze was ended"
guest g "fsfreeze --unfreeze /mnt; sleep 0.5; [ -e /tmp/written ]" || fail "it does not thaw"

# --- not refused --------------------------------------------------------------------------------------------------

say "a bitmap that no checkpoint knows goes on recording, and with nothing in the way the disk is compacted"
dirty_bytes ()          # of the one bitmap in guest g
{
    virsh -q qemu-monitor-command g '{"execute":"query-named-block-nodes","arguments":{"flat":true}}' | python3 -c '
import json, sys
print(*[b["count"] for n in json.load(sys.stdin)["return"] for b in n.get("dirty-bitmaps", [])
        if b["name"] == "somebodys" and b["recording"] and b["persistent"]])'
}
dirty=$(dirty_bytes)
before=$(allocated "$images/g.qcow2")
expect_status 0 "$bed/at-step" "read the base" \
    "$bed/guest-exec $work/g.shell 60 'dd if=/dev/urandom of=/mnt/during bs=1M count=8; sync'" -- "$vmcompact" -v --disk=vda g
expect_text "$work/out" "# fired"
[ $((before - $(allocated "$images/g.qcow2"))) -gt $((40 * 1048576)) ] || fail "the image did not shrink"
[ $(($(dirty_bytes) - dirty)) -ge $((8 * 1048576)) ] || fail "what the guest wrote meanwhile is not in the bitmap"
check_same g
check_files g /mnt
stop_guest g
qemu-img check -q "$images/g.qcow2"
qemu-img info --output=json "$images/g.qcow2" | tr -d ' \n' | grep -q '"bitmaps":\[{"flags":\["auto"\],"name":"somebodys"' ||
    fail "the bitmap is lost or damaged"

# --- a transient domain, and a job that moves the whole domain ------------------------------------------------------

virsh -q undefine g
define_guest g "$(disk_xml vda "$images/g.qcow2")"
virsh -q undefine g
start_guest g create "$work/g.define.xml"
guest g "mount -r /dev/vda /mnt"
start_agent g
remember g
refuse 3 "the domain is transient" compact vda

mkfifo "$work/dump"
exec 8<>"$work/dump" # nobody reads: the dump does not end
virsh -q dump --live g "$work/dump" >/dev/null 2>&1 &
until virsh domjobinfo g | grep -q "Operation: *Dump"; do sleep 0.1; done
remember g
refuse 3 "a migration, backup or save of the domain is under way" compact vda
virsh -q domjobabort g
