# --zero: free space of filesystems that nobody can map, filled with zeros by the guest; QEMU gives it back, or a convert leaves it
# out. The guest sees no full disk because of it, and has its space back at once when the agent dies.
. "$(dirname "$0")/../bed/bed.sh"

guest_memory=512
guest_modules="btrfs crc32c_generic xxhash_generic blake2b_generic vfat nls_cp437 nls_ascii"
guest_programs="/sbin/mkfs.btrfs /sbin/mkfs.vfat /sbin/mkfs.ext4 /sbin/e2fsck"
image_facts='%n %U %G %a' # a convert is another file afterwards

make_noise a qcow2 2048 partition
make_noise b qcow2 600 partition
make_noise c qcow2 300 partition
define_guest g "$(disk_xml vda "$images/a.qcow2" "discard='unmap'")" "$(disk_xml vdb "$images/b.qcow2")" "$(disk_xml vdc "$images/c.qcow2" "discard='unmap'")"
start_guest g
guest g "mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=1 /dev/vda1 && mkdir -p /mnt/a /mnt/b /mnt/c && mount /dev/vda1 /mnt/a"
guest g "mkfs.btrfs -q -f -K /dev/vdb1 >/dev/null 2>&1 && mount /dev/vdb1 /mnt/b && mkfs.vfat /dev/vdc1 >/dev/null 2>&1 && mount /dev/vdc1 /mnt/c"
for at in a b c; do
    guest_timeout=180 guest g "mkdir /mnt/$at/files; for i in 1 2 3 4 5 6 7 8; do dd if=/dev/vda bs=1M count=3 skip=\$((i * 200)) of=/mnt/$at/files/\$i 2>/dev/null; done; cd /mnt/$at/files && md5sum ? >SUMS && sync"
done
start_agent g
start_writers g /mnt/a 2
remember g

say "the free space of 2 GiB, with two writers: zeros cost no writes, and QEMU gives them back"
before=$(allocated "$images/a.qcow2")
free=$(guest g "set -- \$(stat -f -c '%a %S' /mnt/a); echo \$((\$1 * \$2))")
expect_status 0 "$vmcompact" --zero --disk=vda --json -v g
cat "$work/out"

seen "ext4, discard='unmap', with --zero" "$(outcome), and QEMU gives the space back"
after=$(allocated "$images/a.qcow2")
say "free in the guest: $((free >> 20)) MiB, came back: $(((before - after) >> 20)) MiB"
[ $((before - after)) -gt $((free - (300 << 20))) ] || fail "the host did not get the free space back" # but for the reserve
[ "$after" -le "$before" ] || fail "the image grew"

say "a full disk is full no sooner: a program that fills it while the zeros are at it gets as much as it would have"
guest g "killall writer; rm -rf /mnt/a/w?; sync"
free=$(guest g "set -- \$(stat -f -c '%a %S' /mnt/a); echo \$((\$1 * \$2))")
guest g "(dd if=/dev/zero of=/mnt/a/filler bs=1M 2>/tmp/filler; sync) & echo \$! >/tmp/filler.pid" >/dev/null
expect_status 0 "$vmcompact" --zero --disk=vda -q g
while guest g "kill -0 \$(cat /tmp/filler.pid) 2>/dev/null"; do sleep 1; done
got=$(guest g "stat -c %s /mnt/a/filler")
say "available before: $((free >> 20)) MiB, the filler got: $((got >> 20)) MiB"
[ "$got" -gt $((free / 1000 * 995)) ] || fail "the filler saw a full disk too early"
guest g "rm /mnt/a/filler; sync"

say "the agent is killed in the middle: the space is back at once"
free=$(guest g "stat -f -c %a /mnt/a")
"$vmcompact" --zero --disk=vda --bandwidth=200 -q g 2>"$work/err" & run=$!
for _ in $(seq 100); do [ "$(guest g "stat -f -c %a /mnt/a")" -lt $((free - 50000)) ] && break; sleep 0.1; done
held=$(guest g "stat -f -c %a /mnt/a; kill -9 \$(cat /tmp/agent.pid); sleep 0.2; stat -f -c %a /mnt/a")
say "blocks available: $free before, then $(echo $held | tr ' ' ',') after the kill"
[ "$(echo "$held" | head -n 1)" -lt $((free - 50000)) ] || fail "nothing was reserved when the agent was killed"
[ "$(echo "$held" | tail -n 1)" -ge $((free - 100)) ] || fail "the space did not come back"
wait $run && fail "the run did not notice"
expect_text "$work/err" "has died, or hangs"
start_agent g

say "auto refuses what nobody can map, and offers the zeros"
expect_status 3 "$vmcompact" --disk=vdb --json g
expect_text "$work/err" "only ext4 and XFS; --zero would give back up to"
seen "btrfs" "$(outcome | sed 's/no filesystem .* mapped: //; s/ up to .*/ .../')"

say "btrfs without discard: a file of zeros, then a convert"
before=$(allocated "$images/b.qcow2")
expect_status 0 "$vmcompact" --zero --disk=vdb -v --json g
seen "btrfs, with --zero" "$(outcome) without the zeros"
after=$(allocated "$images/b.qcow2")
# 576 MiB are free, less the reserve of 256 MiB, and as much as btrfs may set aside for metadata meanwhile: twice 120 MiB at most.
[ $((before - after)) -gt $((80 * 1048576)) ] || fail "only $((before - after)) bytes came back"

say "vfat with discard: a trim"
before=$(allocated "$images/c.qcow2")
expect_status 0 "$vmcompact" --disk=vdc --json g
seen "FAT, discard='unmap'" "$(outcome)"
[ $((before - $(allocated "$images/c.qcow2"))) -gt $((240 * 1048576)) ] || fail "the trim of vfat brought nothing back"

check_same g
for at in a b c; do guest g "echo 3 >/proc/sys/vm/drop_caches; cd /mnt/$at/files && md5sum -c SUMS >/tmp/sums || cat /tmp/sums" || fail "a file is damaged"; done
guest g "killall vmcompact-agent; sleep 0.5; umount /mnt/a /mnt/b /mnt/c && e2fsck -fn /dev/vda1 >/tmp/fsck 2>&1 || { cat /tmp/fsck; exit 1; }"
