# While the base is read and punched, nobody can commit into it: somebody's block commit fails, and ours still works.
. "$(dirname "$0")/../bed/bed.sh"

make_image g raw 256 100 20 disk
make_image h qcow2 256 100 20 disk
define_guest g "$(disk_xml vda "$images/g.raw")" "$(disk_xml vdb "$images/h.qcow2")"
start_guest g
guest g "mkdir /h; mount /dev/vda /mnt; mount /dev/vdb /h"
start_agent g
start_writers g /mnt 1
start_writers g /h 1
remember g

for disk in vda vdb; do
    say "$disk"
    expect_status 0 "$bed/at-step" "give space back" \
        "virsh blockcommit g $disk --active --pivot --wait >$work/foreign 2>&1; echo \$? >$work/foreign.status" -- \
        "$vmcompact" -v --method=commit --disk=$disk g
    expect_text "$work/out" "# fired"
    [ "$(cat "$work/foreign.status")" != 0 ] || fail "somebody else could commit into the base"
    expect_text "$work/foreign" "lock"
    check_same g
done

check_writers g /mnt
check_writers g /h
check_files g /mnt
check_files g /h
stop_guest g
check_image g raw
check_image h qcow2
