# The image of a domain that is off, written anew: in its place, with another format, and killed at every point.
. "$(dirname "$0")/faults.sh"
boots_often=yes
image_facts='%n %U %G %a'
vmc=$vmcompact

format_of () { virsh dumpxml --inactive g | sed -n "s/.*<driver name='qemu' type='\([a-z0-9]*\)'.*/\1/p" | head -n 1; }

# The XML names the image's path, with the format that the file has; it is intact, and nothing else is there.
check_place ()          # [OTHER_FILE]
{
    local format; format=$(format_of)
    [ "$format" = "$(qemu-img info "$image" | sed -n 's/^file format: //p')" ] || fail "the XML says $format: $(qemu-img info "$image")"
    sed -i "s/\(<driver name='qemu' type='\)[a-z0-9]*'/\1$format'/" "$work/g.inactive"
    virsh dumpxml --inactive g | diff "$work/g.inactive" - || fail "the inactive XML changed"
    (cd "$images" && find . | sort) | diff <(printf '%s\n' . ./g.img ${1:+"./$1"} | sort) - || fail "a file is left, or gone"
    stat -c "$image_facts" "$image" | diff "$work/stat" - || fail "the owner or mode of the image changed"
    check_nothing_left
    [ "$format" = raw ] || qemu-img check -q -f "$format" "$image" || fail "qemu-img check"
    qemu-img convert -q -f "$format" -O raw "$image" "$work/raw"
    e2fsck -fn "$work/raw?offset=$(cat "$work/g.offset")" >"$work/e2fsck.log" 2>&1 || { cat "$work/e2fsck.log" >&2; fail "e2fsck"; }
    rm "$work/raw"
}

check_boot ()           # [DISK] - boots, its files are there
{
    : >"$work/g.console"
    start_guest g
    guest g "mount /dev/vda1 /mnt"
    check_files g /mnt
}

other_format () { case $(format_of) in raw) echo qcow2 ;; *) echo raw ;; esac; }

size=160 dirty=60 files=8
image=$images/g.img
make_image g qcow2 $size $dirty $files mbr
mv "$images/g.qcow2" "$image"
chown 1234:4321 "$image"; chmod 640 "$image"
define_guest g "$(disk_xml vda "$image" | sed "s/type='img'/type='qcow2'/")"
remember g

say "convert: smaller, and the same XML"
before=$(allocated "$image")
expect_status 0 "$vmc" --method=convert --json g
cat "$work/out"
[ $((before - $(allocated "$image"))) -gt $((30 * 1048576)) ] || fail "too little came back"
[ "$(stat -c %s "$image")" -lt $((30 * 1048576)) ] || fail "the file is still long: $(stat -c %s "$image")"
check_place
say "with another format, the old one kept"
expect_status 0 "$vmc" --format=raw --keep-old g
[ "$(format_of)" = raw ] || fail "not raw"
check_place g.img.vmcompact-old
expect_status 3 "$vmc" --method=convert g
expect_text "$work/err" "vmcompact-old' is in the way"
rm "$image.vmcompact-old"
expect_status 0 "$vmc" --format=qcow2 g
check_place
check_boot; stop_guest g

say "killed at each point"
for method in same other; do
    option=--method=convert
    [ $method = same ] || option="--format=$(other_format)"
    rm -f "$work/points"
    VMC_FAULT_LOG=$work/points "$vmc" $option g
    # until the new image has a name, the format makes no difference
    for point in $(awk -v short="$(in_short && echo $method)" '$0 == "named" { named = 1 } !seen[$0]++ && (named || short != "other") && (short == "" || n++ % 2 == 0)' "$work/points"); do
        [ $method = same ] || option="--format=$(other_format)"
        at "$point" "kill -9 \$pid" "$vmc" $option g
        virsh dumpxml --inactive g | sed -n "s/.*<source file='\(.*\)'.*/\1/p" | head -n 1 | xargs test -e || fail "at $point: the XML names a file that is not there"
        expect_status 0 "$vmc" --recover g
        check_place
    done
done

say "killed when the XML names the new image, and started on it before anything is recovered"
at defined-new "kill -9 \$pid" "$vmc" --format="$(other_format)" g
check_boot
guest g "echo kept >/mnt/kept && sync"
expect_status 5 "$vmc" --recover g
expect_text "$work/err" "runs on its new image under another name"
stop_guest g
expect_status 0 "$vmc" --recover g
check_place
check_boot
guest g "grep -q kept /mnt/kept" || fail "what was written to the new image is lost"
stop_guest g

say "the domain cannot be started in the middle"
for point in rewriting named; do
    # What libvirt says of it depends on how soon it looks; QEMU's log has the reason.
    at $point "virsh start g && exit 1; tail -n 5 /var/log/libvirt/qemu/g.log | grep 'Failed to get \"write\" lock'" "$vmc" --method=convert g
    expect_status 0 "$vmc" --recover g
    chown 1234:4321 "$image"; chmod 640 "$image" # libvirt does not give a file back that it did not remember
    check_place
done

say "it can be as soon as the new image has the path"
for option in --method=convert "--format=$(other_format)"; do
    at swapped "virsh start g" "$vmc" $option g
    case $option in
        --format*) expect_end 5 "runs on its new image under another name" ;;
        *) expect_end 0 ;;
    esac
    virsh -q destroy g
    expect_status 0 "$vmc" --recover g
    chown 1234:4321 "$image"; chmod 640 "$image"
    check_place
done

say "no room for the new image: refused, nothing is left"
truncate -s 40M "$work/small.fs"; mkfs.ext4 -q "$work/small.fs"; mkdir "$work/small"; mount -o loop "$work/small.fs" "$work/small"
rm "$image"
make_image g qcow2 $size 8 8 mbr
cp "$images/g.qcow2" "$work/small/g.img"; rm "$images/g.qcow2"
virsh -q undefine g
define_guest g "$(disk_xml vda "$work/small/g.img" | sed "s/type='img'/type='qcow2'/")"
fill_with "$work/small/filler"
sum=$(md5sum <"$work/small/g.img")
expect_status 3 "$vmc" --method=convert g
[ "$(md5sum <"$work/small/g.img")" = "$sum" ] || fail "the image changed"
[ "$(ls "$work/small")" = "$(printf 'filler\ng.img\nlost+found')" ] || fail "left: $(ls "$work/small")"
check_nothing_left
umount "$work/small"
