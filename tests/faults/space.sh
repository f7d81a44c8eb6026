# No space: for the overlay, for what the guest writes to it, for the commit into the base, for the journal. The run gives way
# and the domain comes home; where it cannot, it does with --recover, as soon as there is room.
. "$(dirname "$0")/faults.sh"

overlays=$work/overlays
unmount_all () { umount -l "$overlays" "$state" "$images" 2>/dev/null || true; }
trap 'status=$?; virsh -q destroy g 2>/dev/null || true; unmount_all; end_as $status' EXIT

paused_by_error () { virsh domstate g --reason | grep -q 'paused (I/O error)'; }

# for the lines that run at fault points
cat >"$work/functions" <<SH
bed=$bed
$(declare -f fill_with wait_until paused_by_error guest)
SH
functions=". $work/functions"

small_filesystem ()     # DIRECTORY - mount one there; without a loop device there is nothing to be tested
{
    rm -f "$1.ext4"; truncate -s 2G "$1.ext4"
    mkfs.ext4 -q -F -m 0 "$1.ext4"
    mount -o loop "$1.ext4" "$1"
    rmdir "$1/lost+found"
}

# --- the overlay has a filesystem of its own ----------------------------------------------------------------------

mkdir "$overlays"
small_filesystem "$overlays"
new_guest
run="$vmcompact --method=commit --overlay-dir=$overlays g"

check_overlays ()
{
    rm -f "$overlays/filler"
    [ -z "$(ls "$overlays")" ] || fail "left: $(ls "$overlays")"
}

say "no room when the overlay is made"
at prepare "$functions; fill_with $overlays/filler" $run
expect_end 1 "No space left on device"
check_overlays; check_home

for point in guarded $(in_long thawed punch); do
    say "the guest has no room in the overlay at: $point"
    at $point "$functions; fill_with $overlays/filler; wait_until 30 paused_by_error" $run
    expect_end 1 "low on space"
    check_overlays; check_home; check_data
done

say "it has no room while the commit begins: too late to stop, the work is done"
at commit "$functions; fill_with $overlays/filler; wait_until 30 paused_by_error" $run
expect_end 0
check_overlays; check_home; check_data

say "the same, and the run is killed"
at commit "$functions; fill_with $overlays/filler; wait_until 30 paused_by_error; touch $work/fired; kill -9 \$pid" $run
recover 0
check_overlays; check_home; check_data

# --- the journal --------------------------------------------------------------------------------------------------

mount -t tmpfs -o size=64k,mode=700 journals $state

say "no room for a journal: nothing is begun"
fill_with $state/filler
sum=$(stat -c '%n %i %W' "$images"/*)
expect_status 1 $run
expect_text "$work/err" "cannot keep the journal"
expect_text "$work/err" "ENOSPC"
[ "$(stat -c '%n %i %W' "$images"/*)" = "$sum" ] || fail "the image was replaced"
rm $state/filler
check_overlays; check_home

for point in frozen guarded $(in_long prepared redirected); do
    say "no room for the journal from here on: $point"
    at $point "$functions; fill_with $state/filler" $run
    expect_end 1 "cannot keep the journal"
    rm $state/filler
    check_overlays; check_home
done
for point in punch pivot $(in_long committing moved); do
    say "no room for the journal from here on, too late to stop: $point"
    at $point "$functions; fill_with $state/filler; cp $state/*.journal $work/journal" $run
    expect_end 0
    [ -s "$work/journal" ] || fail "there was no journal"
    rm $state/filler
    check_overlays; check_home
done
umount "$state"
check_data
end_guest

# --- all on one filesystem ----------------------------------------------------------------------------------------

say "image and overlay on a small filesystem"
small_filesystem "$images"
dirty=$size keep_zeros=yes # so that the commit finds room in the image, until blocks of it are given back
new_guest
run="$vmcompact --method=commit g"
at guarded "$functions; fill_with $images/filler; wait_until 30 paused_by_error" $run
expect_end 1 "low on space"
rm "$images/filler"
check_home; check_data

say "somebody takes what was given back: the commit finds no room, and comes home when there is some"
new_data="guest g 'dd if=/dev/urandom of=/mnt/new bs=64k count=16 conv=fsync'" # where nothing was, so that the commit needs room there
at commit "$functions; $new_data; fill_with $images/filler; wait_until 30 paused_by_error" $run
expect_end 5 "run vmcompact --recover"
expect_text "$work/err" "ENOSPC"
paused_by_error || fail "the guest goes on without room"
rm "$images/filler"
recover 0
check_home; check_data
end_guest
umount "$images"
