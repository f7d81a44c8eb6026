# What may happen to a convert after its new image is there: the guest goes on, and what is said of where it is now is true.
. "$(dirname "$0")/faults.sh"

image_facts='%n %U %G %a'
base=$images/g.qcow2
new_guest

convert ()              # POINT LINE [OPTION...] - a run during which LINE is done; what it is to end with is for the caller to say
{
    local point=$1 line=$2; shift 2
    say "at $point: $line${*:+ ($*)}"
    inode=$(stat -c %i "$base")
    at "$point" "$line" "$vmcompact" -v --method=convert "$@" g
}

is_new () { [ "$(stat -c %i "$base")" != "$inode" ] || fail "the image is the old one"; }
is_old () { [ "$(stat -c %i "$base")" = "$inode" ] || fail "the image is not the old one"; }

# --- libvirtd is away for longer than a failure is tried again ---------------------------------------------------------

restart='kill -9 $(cat /run/libvirtd.pid); (sleep 3; exec libvirtd -d) </dev/null >/dev/null 2>&1 &'
for point in copying committing; do
    VMC_FAULT_PATIENCE_MS=1000 convert $point "$restart"
    expect_end 0
    is_new
    check_home
done
check_data

# --- somebody ends the copy --------------------------------------------------------------------------------------------

abort="virsh blockjob g vda --abort"
convert copying "$abort"
expect_end 0
is_new
check_home

# --- somebody takes a snapshot just before the copy begins --------------------------------------------------------------

snapshot="virsh snapshot-create-as g --disk-only --no-metadata --atomic --diskspec vda,file=$images/foreign.qcow2"
commit_snapshot () { virsh -q blockcommit g vda --active --shallow --pivot >/dev/null && rm "$images/foreign.qcow2"; }
no_job () { virsh blockjob g vda 2>&1 | grep -q "No current block job" || fail "a block job is left: its pivot would lose data"; }

convert copy "$snapshot"                # of the first move: ours is committed from under it
expect_end 1 "it is on the old one"
is_old
no_job
check_nothing_left
commit_snapshot
check_home; check_data

convert swap "$snapshot"                # of the second: the snapshot has to go first
expect_end 5 "somebody has changed the disk"
no_job
commit_snapshot
recover 0
is_new
check_home; check_data

# --- switched off before the first move --------------------------------------------------------------------------------

convert named "virsh destroy g"
expect_end 1 "it is on the old one"
is_old
check_nothing_left
boot_guest
check_home; check_data
end_guest
