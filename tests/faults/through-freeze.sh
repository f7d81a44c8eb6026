# A loop device with direct I/O goes on allocating blocks of its file while the filesystem below is frozen (seen with Linux 6.1): what it
# writes lies in the base then, in blocks that the base calls free. None of it may be given back.
. "$(dirname "$0")/faults.sh"

guest_modules=loop
cp /sbin/losetup "$work/util-losetup" # busybox has one without direct I/O
guest_programs="$work/util-losetup /sbin/mke2fs $qemu_agent_program" more_channel=$qemu_agent_channel

make_image g qcow2 "$size" "$dirty" "$files" mbr
define_guest g "$(disk_xml vda "$images/g.qcow2")"
start_guest g
guest g "mount -o noinit_itable /dev/vda1 /mnt && truncate -s 64G /mnt/loop && sync && util-losetup --direct-io=on /dev/loop0 /mnt/loop && grep -q 1 /sys/block/loop0/loop/dio" ||
    fail "no loop device with direct I/O"
guest g "yes | head -c 4096 >/tmp/block"
remember g
run="$vmcompact --method=commit g"
n=0

# A block each 64 MiB: what is near to another one has been set aside for the file before, and does not look free.
run_with_write ()       # STATUS [TEXT] - something is written through the freeze
{
    n=$((n + 1))
    guest g sync
    at frozen "$bed/guest-exec $work/g.shell 20 'dmesg -c >/dev/null; dd if=/tmp/block of=/dev/loop0 bs=4k count=1 seek=$((n * 16384)) oflag=direct conv=notrunc 2>&1; dmesg'" $run
    grep -q 'WARNING.*ext4_journal_check_start' "$work/action.log" || { cat "$work/action.log" >&2; fail "nothing was allocated during the freeze, so this proves nothing"; }
    expect_end "$@"
    check_home
    guest g "echo 3 >/proc/sys/vm/drop_caches; i=1; while [ \$i -le $n ]; do dd if=/mnt/loop bs=4k count=1 skip=\$((i * 16384)) 2>/dev/null | cmp - /tmp/block || exit 1; i=\$((i + 1)); done" ||
        fail "what was written is lost"
}

say "with our agent: it is kept"
start_agent g
full=$(allocated "$images/g.qcow2")
for _ in 1 2 3; do run_with_write 0; done
[ $((full - $(allocated "$images/g.qcow2"))) -gt $(((dirty - files) << 19)) ] || fail "nothing came back"

say "with qemu-guest-agent alone, which cannot tell: nothing is given back"
guest g "killall vmcompact-agent; sleep 0.5" >/dev/null
start_qemu_agent g
expect_status 3 $run
expect_text "$work/err" "a loop device from which no filesystem is mounted"
say "and where it seems to be mounted, its writes are counted"
guest g "mke2fs -q /dev/loop0 4096 >/dev/null 2>&1; mkdir /inner; mount /dev/loop0 /inner" # writes past it are nobody's
run_with_write 1 "the guest wrote to the disk while its filesystems were frozen"
guest g "umount /inner; util-losetup -d /dev/loop0"
check_files g /mnt
stop_guest g
check_image g qcow2
