# Two things go wrong at once: each of these has cost a guest its data, or left it paused, in an earlier vmcompact.
. "$(dirname "$0")/faults.sh"
boots_often=yes

new_guest
base=$images/g.qcow2 overlay=$images/g.qcow2.vmcompact-overlay
run="$vmcompact --method=commit g"
killed="kill -9 \$pid"

say "recovery of a guest that is off is killed while it gives back the XML; meanwhile somebody starts the guest"
at thawed "$killed" $run
check_writing
virsh -q destroy g
at define "! virsh start g 2>\$work/start; $killed" "$vmcompact" --recover
expect_text "$work/start" 'Failed to get "write" lock'
recover 0
check_nothing_left
boot_guest
check_home; check_data

# QEMU locks the byte 101 of what it writes to. To look by opening it would be in the way of who is about to.
in_use ()
{
    awk -v inode=":$(stat -c %i "$overlay")$" '$6 ~ inode && $7 <= 101 && 101 <= $8 { found = 1 } END { exit !found }' /proc/locks
}
at_rest () { ! in_use; }
opened_for ()           # MILLISECONDS - somebody has the overlay open for writing, as a QEMU that is ending
{
    wait_until 5 at_rest || fail "the guest's QEMU has not ended"
    qemu-io -f qcow2 -c "sleep $1" "$overlay" >/dev/null &
    holder=$!
    wait_until 5 in_use || fail "the overlay is not open"
}

say "the guest was switched off, but its QEMU has not given up its locks yet"
at thawed "$killed" $run
virsh -q destroy g
opened_for 2500
recover 0
check_nothing_left
boot_guest
check_home; check_data

say "somebody has the overlay of a guest that is off open for good"
at thawed "$killed" $run
virsh -q destroy g
opened_for 60000
recover 5 "somebody has .* open for writing: if its QEMU still runs"
[ -e "$overlay" ] || fail "the overlay is gone"
kill $holder
wait $holder || true
recover 0
check_nothing_left
boot_guest
check_home; check_data

say "the keeper's time is over before the guest is paused; then the run is killed"
at thawed "$killed" $run
at paused "$killed" env VMC_FAULT_PAUSE_MS=1 "$vmcompact" --recover
check_writing 3
recover 0
check_home; check_data

say "the journal cannot be written when the guest is paused; then the run is killed"
mount -o remount,size=1m $state
at committing,paused "[ \$POINT = paused ] || { cat /dev/zero >$state/fill 2>/dev/null || true; exit 0; }; df --output=avail $state | tail -n 1 >\$work/room; $killed" $run
[ "$(cat "$work/room")" -eq 0 ] || fail "there was room for the journal"
check_writing 7
rm "$state/fill"
recover 0
check_home; check_data

say "libvirt cannot save its XML at the pivot: the overlay that it names is not removed"
mount -t tmpfs -o size=64k small /etc/libvirt/qemu
virsh -q define "$work/g.inactive"
at pivot "cat /dev/zero >/etc/libvirt/qemu/fill 2>/dev/null || true" $run
expect_end 5 "cannot save the XML"
check_writing
grep -q vmcompact-overlay /etc/libvirt/qemu/g.xml || fail "libvirt has saved its XML, so this proves nothing"
[ -e "$overlay" ] || fail "the overlay that the saved XML names is gone"
rm /etc/libvirt/qemu/fill
recover 0
! grep -q vmcompact-overlay /etc/libvirt/qemu/g.xml || fail "the saved XML names the overlay"
check_home; check_data

say "the same, and libvirtd is started anew, from the file that it could not save, while QEMU runs on"
virsh -q define "$work/g.inactive"
at pivot "cat /dev/zero >/etc/libvirt/qemu/fill 2>/dev/null || true" $run
expect_end 5 "cannot save the XML"
kill -9 "$(cat /run/libvirtd.pid)"
rm /etc/libvirt/qemu/fill
libvirtd -d
wait_until 10 virsh -q list >/dev/null
virsh dumpxml --inactive g | grep -q vmcompact-overlay || fail "the next start is not on the overlay, so this proves nothing"
! virsh dumpxml g | grep -q vmcompact-overlay || fail "the domain is on the overlay, so this proves nothing"
recover 0
! grep -q vmcompact-overlay /etc/libvirt/qemu/g.xml || fail "the saved XML names the overlay"
check_home; check_data

say "the same, and the host goes down: the base is newer, the overlay is not committed"
virsh -q define "$work/g.inactive"
at pivot "cat /dev/zero >/etc/libvirt/qemu/fill 2>/dev/null || true" $run
expect_end 5
guest g "echo newest >/mnt/newest; sync"
kill -9 "$(cat /run/libvirtd.pid)" "$(cat /run/libvirt/qemu/g.pid)"
rm -rf /run/libvirt/qemu/* /etc/libvirt/qemu/fill
forget_owners
libvirtd -d
wait_until 10 virsh -q list >/dev/null
virsh domblklist g | grep -q vmcompact-overlay || fail "libvirt does not name the overlay, so this proves nothing"
recover 0
check_nothing_left
boot_guest
guest g "[ \$(cat /mnt/newest) = newest ]" || fail "what was written last is lost"
check_home; check_data
end_guest
