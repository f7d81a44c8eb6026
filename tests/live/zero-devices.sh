# What the agent zeroes, and refuses to, by what lies below: a disk on virtio, one on SCSI, a volume of LVM; dm-crypt, a thin pool, a
# snapshot and its origin. Asked over the channel itself, without vmcompact.
. "$(dirname "$0")/../bed/bed.sh"

guest_memory=512
guest_modules="dm_mod dm_crypt xts aes_generic crc32c_generic xfs vfat nls_cp437 nls_ascii dm_thin_pool dm_snapshot algif_skcipher"
guest_programs="/sbin/lvm /sbin/cryptsetup /sbin/mkfs.ext4 /sbin/e2fsck /sbin/mkfs.xfs /sbin/mkfs.vfat"
ext4='mkfs.ext4 -q -F -E nodiscard'
size=400

ask ()                  # MOUNT_POINT - zero it with a reserve of 32 MiB: "why not", or "zeroed zero", in bytes, or "error: ..."
{
    local channel
    channel=$(virsh dumpxml g | sed -n "/org.vmcompact.agent.0/!{s/.*<source mode='bind' path='\(.*org.vmcompact.agent.0\)'.*/\1/p}")
    channel=${channel:-$(virsh dumpxml g | sed -n "s/.*<source mode='bind' path='\(.*org.vmcompact.agent.0\)'.*/\1/p")}
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$(dirname "$0")/../agent python3 -c 'import sys
from agent import Host
host = Host(sys.argv[1])
host.link.settimeout(120)
host.hello()
mine = [f for f in host.call("filesystems")["filesystems"] if f["mount_point"] == sys.argv[2]][0]
try:
    result = host.call("zero", filesystem=mine["filesystem"], reserve_bytes=32 << 20, rate_bytes_per_s=0)
    print(mine["why_not_zero"], result["zeroed_bytes"], result["zero_bytes"])
except RuntimeError as error:
    print(mine["why_not_zero"] or "error: " + str(error))' "$channel" "$1"
}

for n in a b c d e; do make_noise "$n" qcow2 $size partition; done
define_guest g "$(disk_xml vda "$images/a.qcow2" "discard='unmap'")" "$(disk_xml sdb "$images/b.qcow2" "discard='unmap'")" \
    "$(disk_xml vdc "$images/c.qcow2")" "$(disk_xml vdd "$images/d.qcow2")" "$(disk_xml vde "$images/e.qcow2")"
start_guest g
run_in_guest g 'mkdir -p /etc/lvm /run/lock /run/lvm /run/cryptsetup; ln -sf /proc/mounts /etc/mtab
printf "activation { udev_sync=0 udev_rules=0 }\ndevices { use_devicesfile=0 }\nbackup { backup=0 archive=0 }\n" >/etc/lvm/lvm.conf'
run_in_guest g "ls /dev/vd?1 /dev/sd?1
mkdir -p /mnt/plain /mnt/scsi /mnt/volume /mnt/fat /mnt/crypt /mnt/thin /mnt/origin /mnt/snapshot
$ext4 /dev/vda1 && mount /dev/vda1 /mnt/plain
mkfs.xfs -q -f -K /dev/sda1 && mount /dev/sda1 /mnt/scsi
lvm pvcreate -qq -ff -y /dev/vdb1 && lvm vgcreate -qq one /dev/vdb1
lvm lvcreate -qq -y -Wn -L120M -n lv one && $ext4 /dev/one/lv && mount /dev/one/lv /mnt/volume
lvm lvcreate -qq -y -Wn -L60M -n origin one && $ext4 /dev/one/origin
lvm lvcreate -qq -y -s -L40M -n snap one/origin && mount /dev/one/origin /mnt/origin && mount /dev/one/snap /mnt/snapshot
lvm lvcreate -qq -y -Zn --thinpool pool -L60M one && lvm lvcreate -qq -y -Wn -V200M --thin -n thin one/pool && $ext4 /dev/one/thin && mount /dev/one/thin /mnt/thin
echo secret >/key; cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/vdc1 /key
cryptsetup open /dev/vdc1 safe --key-file /key && $ext4 /dev/mapper/safe && mount /dev/mapper/safe /mnt/crypt
mkfs.vfat /dev/vdd1 && mount /dev/vdd1 /mnt/fat
for at in plain scsi volume fat; do for i in 1 2 3 4 5; do dd if=/dev/vda bs=1M count=3 skip=\$((i * 50)) of=/mnt/\$at/f\$i 2>/dev/null; done; cd /mnt/\$at && md5sum f? >SUMS; done; sync"
start_agent g

expect_zeroed ()        # MOUNT_POINT LEAST_MIB
{
    local answer
    answer=$(ask "$1")
    say "$1: $answer"
    [ "$(set -- $answer; echo $(($1 >> 20)))" -ge "$2" ] 2>/dev/null || fail "$1: $answer"
}

before=$(allocated "$images/a.qcow2")
expect_zeroed /mnt/plain 290
[ $((before - $(allocated "$images/a.qcow2"))) -gt $((280 << 20)) ] || fail "the host got nothing back from virtio"
before=$(allocated "$images/b.qcow2")
expect_zeroed /mnt/scsi 250
[ "$(allocated "$images/b.qcow2")" -le $((before + 1048576)) ] || fail "the image grew" # the kernel forbids SCSI to deallocate here
before=$(allocated "$images/c.qcow2")
expect_zeroed /mnt/volume 40
[ "$(allocated "$images/c.qcow2")" -le $((before + 1048576)) ] || fail "the image grew"
expect_zeroed /mnt/fat 330

expect_refused ()       # MOUNT_POINT TEXT
{
    local answer
    answer=$(ask "$1")
    say "$1: $answer"
    case $answer in *"$2"*) ;; *) fail "$1: $answer" ;; esac
}

expect_refused /mnt/crypt "it lies on dm-crypt"
expect_refused /mnt/thin "a snapshot or a thin pool"
expect_refused /mnt/origin "a snapshot or a thin pool"
expect_refused /mnt/snapshot "a snapshot or a thin pool"

guest g "killall vmcompact-agent; sleep 0.5; echo 3 >/proc/sys/vm/drop_caches" >/dev/null
for at in plain scsi volume fat; do run_in_guest g "cd /mnt/$at && md5sum -c SUMS >/tmp/check 2>&1 && [ -z \"\$(ls -A | grep vmcompact)\" ]"; done
run_in_guest g "umount /mnt/* && e2fsck -fn /dev/vda1 && e2fsck -fn /dev/one/lv && mount -o ro /dev/sda1 /mnt/scsi && umount /mnt/scsi"

say "what was free is zero in the image, but for the reserve and what is in use"
virsh -q destroy g
for n in a b e; do # the guest calls them vda, sda and vdd
    qemu-img convert -q -O raw "$images/$n.qcow2" "$work/raw"
    say "$n: $(($(allocated "$work/raw") >> 20)) MiB are not zero"
    [ "$(allocated "$work/raw")" -lt $((120 << 20)) ] || fail "too much is left of $n"
    rm "$work/raw"
done
