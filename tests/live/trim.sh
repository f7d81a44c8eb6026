# The method trim: what the host got back is measured, a dropped trim is told apart, and auto goes on with a commit.
. "$(dirname "$0")/../bed/bed.sh"

make_image pass qcow2 768 400 100 mbr
make_image drop qcow2 768 400 100 mbr
define_guest g "$(disk_xml vda "$images/pass.qcow2" "discard='unmap'")" "$(disk_xml vdb "$images/drop.qcow2")"
start_guest g
guest g "mkdir /pass /drop; mount /dev/vda1 /pass; mount /dev/vdb1 /drop"
start_agent g
start_writers g /pass 1
start_writers g /drop 1
remember g

say "a disk with discard='unmap': auto trims"
before=$(allocated "$images/pass.qcow2")
expect_status 0 "$vmcompact" --disk=vda --json g
expect_text "$work/out" '"method":"trim"'
[ $((before - $(allocated "$images/pass.qcow2"))) -gt $((250 * 1048576)) ] || fail "the trim brought nothing back"
seen "ext4 on a partition, discard='unmap'" "$(outcome)"

say "a second trim has nothing to do"
expect_status 0 "$vmcompact" --disk=vda --method=trim g

say "a disk without: the trim is dropped, status 4, and the sentence names the cause"
before=$(allocated "$images/drop.qcow2")
expect_status 4 "$vmcompact" --disk=vdb --method=trim g
expect_text "$work/err" "discard='unmap'"
[ "$(allocated "$images/drop.qcow2")" -gt $((before - 20 * 1048576)) ] || fail "it was not dropped after all"

say "a second trim sends everything again: the guest's kernel believes that it has trimmed"
discards () { guest g "awk '{print \$14}' /sys/block/vdb/stat"; } # sectors
sent=$(discards)
expect_status 4 "$vmcompact" --disk=vdb --method=trim g
[ $((($(discards) - sent) * 512)) -gt $((500 * 1048576)) ] || fail "the second trim sent only $((($(discards) - sent) / 2048)) MiB"

say "auto commits there, with the same result as a trim"
expect_status 0 "$vmcompact" --disk=vdb --json g
expect_text "$work/out" '"method":"commit"'
[ $((before - $(allocated "$images/drop.qcow2"))) -gt $((250 * 1048576)) ] || fail "the commit brought nothing back"

check_same g
check_writers g /pass
check_files g /pass
check_files g /drop
stop_guest g
check_image pass qcow2
check_image drop qcow2
