# An image on a filesystem that cannot punch holes and has no nameless files (NTFS by FUSE): found out before anything is changed,
# convert is offered, and a convert works there, also the next one after one that was killed.
. "$(dirname "$0")/../bed/bed.sh"

truncate -s 2G "$work/ntfs"
mkntfs -F -Q -q "$work/ntfs" >/dev/null 2>&1
ntfs-3g -o permissions,allow_other "$work/ntfs" "$images"
trap 'umount -l "$images" || true; cleanup_bed' EXIT
chmod 777 "$images"
image_facts='%n %U %G %a' # a convert is another file afterwards

make_image g qcow2 512 300 60 mbr
chmod 666 "$images/g.qcow2"
define_guest g "$(disk_xml vda "$images/g.qcow2")"
start_guest g
guest g "mount /dev/vda1 /mnt"
start_agent g
start_writers g /mnt 2
remember g

say "commit is refused, and convert offered"
for method in auto commit; do
    expect_status 3 "$vmcompact" --method=$method g
    expect_text "$work/err" "cannot punch holes; --method=convert needs none"
    check_same g
done

say "a convert that is killed leaves a part, which --recover and the next one know"
faulty=$top_builddir/tests/faults/vmcompact
VMC_FAULT_POINT=rewriting VMC_FAULT_ACTION='kill -9 $PID' expect_status 137 "$faulty" -q --method=convert g
[ -e "$images/g.qcow2.vmcompact-part" ] || fail "it was not killed where it should have been"
expect_status 0 "$vmcompact" --recover g
check_same g

say "a convert"
before=$(allocated "$images/g.qcow2")
VMC_FAULT_POINT=rewriting VMC_FAULT_ACTION='kill -9 $PID' expect_status 137 "$faulty" -q --method=convert g
expect_status 0 "$vmcompact" --method=convert --json g
seen "host filesystem without holes (NTFS by FUSE)" "auto refuses and offers convert; --method=convert: $(outcome)"
check_same g
say "came back: $(((before - $(allocated "$images/g.qcow2")) >> 20)) MiB"
[ $((before - $(allocated "$images/g.qcow2"))) -gt $((100 * 1048576)) ] || fail "the convert brought nothing back"

check_writers g /mnt
check_files g /mnt
stop_guest g
check_image g qcow2
