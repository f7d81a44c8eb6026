# Domains that are switched off: compacted in place; kept from starting meanwhile; refused when their memory is somewhere.
. "$(dirname "$0")/../bed/bed.sh"
boots_often=yes

check_boots ()          # NAME DEVICE - the guest boots, its files are intact, and it is off and clean again
{
    boot "$1" "mount $2 /mnt" || fail "mount in $1"
    check_files "$1" /mnt
    guest "$1" "echo alive >/mnt/alive && sync" || fail "the guest does not write"
    stop_guest "$1"
}

boot ()                 # NAME COMMAND - boot it, and do something in it
{
    : >"$work/$1.console"
    start_guest "$1"
    guest "$1" "$2"
}

waste_some ()           # something for "g" to give back
{
    boot g "mount /dev/vda1 /mnt; dd if=/dev/urandom of=/mnt/waste bs=64k count=100 conv=fsync 2>/dev/null; rm /mnt/waste"
    stop_guest g
}

shrunk_by ()            # BEFORE FILE MIB
{
    [ $(($1 - $(allocated "$2"))) -gt $(($3 * 1048576)) ] || fail "only $(($1 - $(allocated "$2"))) bytes of $2 came back"
}

for format in qcow2 raw; do
    image=$images/g.$format
    say "$format, switched off"
    make_image g $format 256 150 20 gpt
    chown 1234:4321 "$image"; chmod 640 "$image"
    define_guest g "$(disk_xml vda "$image")"
    remember g
    before=$(allocated "$image") sum=$(md5sum <"$image")
    expect_status 0 "$vmcompact" -n --json g
    [ "$(md5sum <"$image")" = "$sum" ] && [ "$(allocated "$image")" = "$before" ] || fail "a dry run changed the image"
    promised=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["disks"][0]["reclaimable_bytes"])' <"$work/out")
    expect_status 0 "$vmcompact" --json g
    expect_text "$work/out" '"method":"commit","reason":"nobody runs it'
    [ ! -s "$work/err" ] || fail "it complained: $(cat "$work/err")"
    shrunk_by "$before" "$image" 100
    # The host's own tables for the holes count, too.
    python3 -c 'import sys; a, b = map(int, sys.argv[1:]); sys.exit(abs(a - b) > 1 << 20)' "$promised" $((before - $(allocated "$image"))) ||
        fail "$promised were promised, $((before - $(allocated "$image"))) came back"
    check_same g
    check_image g $format
    check_boots g /dev/vda1
    check_image g $format

    say "a second time there is little left, and that is fine"
    expect_status 0 "$vmcompact" g
    expect_status 0 "$vmcompact" -n --json g
    expect_text "$work/out" '"reclaimable_bytes":0,'
    check_same g

    if [ $format = qcow2 ]; then virsh -q undefine g; rm "$image"; fi
done

say "on a filesystem that keeps locks to itself, it could be running on another host"
mkdir "$work/bound"
bindfs "$images" "$work/bound"
virsh -q undefine g
define_guest g "$(disk_xml vda "$work/bound/g.raw")"
remember g
refuse 3 "locks may be seen by this host only" "$vmcompact" g
refuse 3 "locks may be seen by this host only" "$vmcompact" --method=convert g
virsh -q undefine g
expect_status 3 "$vmcompact" --image "$work/bound/g.raw" --output "$work/bound/copy"
expect_text "$work/err" "locks may be seen by this host only"
umount "$work/bound"
define_guest g "$(disk_xml vda "$images/g.raw")"

say "interrupted at each step: status 1, nothing is lost"
waste_some
remember g
for step in "lock the image" "read the image" "map the image" "give space back"; do
    expect_status 1 "$bed/at-step" "$step" "kill -INT \$PID" -- "$vmcompact" -v g
    expect_text "$work/out" "# fired"
    expect_text "$work/err" "interrupted by signal"
    check_same g
done
expect_status 1 "$vmcompact" --timeout=0.001 g
expect_text "$work/err" "timeout is over"
check_image g raw

say "what is refused"
refuse 3 "the domain is not running, so its guest cannot trim" "$vmcompact" --method=trim g
loop=$(losetup -f --show "$images/g.raw")
refuse 3 "open for writing" "$vmcompact" g
losetup -d "$loop"
boot g "mount /dev/vda1 /mnt"
virsh -q managedsave g
remember g
refuse 3 "not simply switched off" "$vmcompact" g
virsh -q start g
check_files g /mnt
guest g "echo 1 >/mnt/unclean; sync; echo 2 >/mnt/more; sync"
virsh -q destroy g
remember g
refuse 3 "can be trusted: its journal needs recovery" "$vmcompact" g
refuse 3 "can be trusted: its journal needs recovery" "$vmcompact" -n g

say "it is clean again after a boot"
check_boots g /dev/vda1
remember g
expect_status 0 "$vmcompact" g
check_same g
check_image g raw
virsh -q undefine g

say "a linked clone: its own layer only; the template is refused, because the clone needs it"
make_image template qcow2 256 150 20 disk
qemu-img create -q -f qcow2 -b "$images/template.qcow2" -F qcow2 "$images/clone.qcow2"
define_guest g "$(disk_xml vda "$images/clone.qcow2")"
boot g "mount /dev/vda /mnt; for i in 1 2 3 4; do dd if=/dev/urandom of=/mnt/big\$i bs=1M count=15 2>/dev/null; done; sync; rm /mnt/big[123]; sync"
stop_guest g
remember g
sum=$(md5sum <"$images/template.qcow2") before=$(allocated "$images/clone.qcow2")
expect_status 0 "$vmcompact" g
shrunk_by "$before" "$images/clone.qcow2" 40
[ "$(md5sum <"$images/template.qcow2")" = "$sum" ] || fail "the template was written to"
check_same g
sed "s,$images/clone.qcow2,$images/template.qcow2,; s,<name>g<,<name>template<,; s,$work/g.,$work/template.,g" "$work/g.define.xml" >"$work/template.xml"
virsh -q define "$work/template.xml"
refuse 3 "'g' uses the same file" "$vmcompact" template
check_boots g /dev/vda
qemu-img rebase -u -f qcow2 -b "$images/template.qcow2" -F raw "$images/clone.qcow2"
python3 - "$images/clone.qcow2" <<'PY'
import sys
with open(sys.argv[1], "r+b") as image: # a header that names no format of the backing file, as old ones do
    header = image.read(4096)
    at = header.index(b"\xe2\x79\x2a\xca")
    image.seek(at); image.write(b"\x7f\x7f\x7f\x7f")
PY
remember g
refuse 3 "does not say that its backing file is qcow2 or raw" "$vmcompact" g
