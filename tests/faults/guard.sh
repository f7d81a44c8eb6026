# Nobody can commit into the base while it is read and punched: somebody's block commit fails, and ours still works. And an image whose
# tables say that two things lie in one place is not punched.
. "$(dirname "$0")/faults.sh"

make_image g raw 256 100 20 disk
make_image h qcow2 256 100 20 disk
define_guest g "$(disk_xml vda "$images/g.raw")" "$(disk_xml vdb "$images/h.qcow2")"

with_guest ()           # COMMAND... - while it runs, with both disks mounted
{
    start_guest g
    guest g "mkdir -p /h; mount /dev/vda /mnt; mount /dev/vdb /h"
    start_agent g
    remember g
    "$@"
    check_files g /mnt
    check_files g /h
    stop_guest g
}

somebody_commits ()
{
    start_writers g /mnt 1
    start_writers g /h 1
    for disk in vda vdb; do
        say "somebody's block commit of $disk"
        at punch "status=0; virsh blockcommit g $disk --active --pivot --wait >\$work/foreign 2>&1 || status=\$?; echo \$status >\$work/foreign.status" \
            "$vmcompact" --method=commit --disk=$disk g
        expect_end 0
        [ "$(cat "$work/foreign.status")" != 0 ] || fail "somebody else could commit into the base"
        expect_text "$work/foreign" "lock"
        check_same g
    done
    check_writers g /mnt
    check_writers g /h
}

set_last_cluster ()     # FILE table|nothing - where the qcow2 image says that the last cluster of its disk lies
{
    python3 - "$@" <<'PY'
import struct, sys
with open(sys.argv[1], "r+b") as image:
    def number(at):
        image.seek(at)
        return struct.unpack(">Q", image.read(8))[0]
    table = number(number(40)) & ((1 << 63) - 1)
    last = table + (number(24) // 65536 - 1) * 8
    assert sys.argv[2] == "nothing" or number(last) == 0
    image.seek(last)
    image.write(struct.pack(">Q", table | 1 << 63 if sys.argv[2] == "table" else 0))
PY
}

damaged ()              # COMMAND... - a run that finds the image so
{
    local before; before=$(allocated "$images/h.qcow2")
    expect_status 3 "$@"
    expect_text "$work/err" "the image is damaged, or was not closed cleanly: its tables contradict each other"
    [ "$(allocated "$images/h.qcow2")" -ge "$before" ] || fail "it was punched"
    check_same g
}

with_guest somebody_commits
check_image g raw
check_image h qcow2

say "a damaged image, of a guest that runs and at rest"
set_last_cluster "$images/h.qcow2" table
with_guest damaged "$vmcompact" --method=commit --disk=vdb g
remember g
damaged "$vmcompact" --disk=vdb g
set_last_cluster "$images/h.qcow2" nothing
check_image h qcow2
