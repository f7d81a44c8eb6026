# --image: files that belong to no domain, of every kind; what is refused, and that a refusal changes nothing.
. "$(dirname "$0")/../bed/bed.sh"

see ()                  # FILE FORMAT - the virtual disk, as raw
{
    rm -f "$work/seen"
    qemu-img convert -q -f "$2" -O raw "$1" "$work/seen"
}

check_content ()        # FILE FORMAT OFFSET_MIB - e2fsck, and every file is as it was made
{
    local loop mount=$work/mount
    see "$1" "$2"
    e2fsck -fn "$work/seen?offset=$(($3 * 1048576))" >"$work/e2fsck.log" 2>&1 || { cat "$work/e2fsck.log" >&2; fail "e2fsck of $1"; }
    mkdir -p "$mount"
    loop=$(losetup -f --show -r -o $(($3 * 1048576)) "$work/seen")
    mount -o ro,noload "$loop" "$mount"
    (cd "$mount/files" && md5sum --quiet -c SUMS) || fail "a file in $1 is damaged"
    umount "$mount"
    losetup -d "$loop"
    rm "$work/seen"
}

compact ()              # NAME FORMAT OFFSET_MIB MIB - in place: at least so many MiB come back
{
    local file=$images/$1.$2 before
    say "$1, $2"
    [ "$2" = raw ] || qemu-img check -q -f "$2" "$file"
    before=$(allocated "$file")
    stat -c '%n %U %G %a %i' "$file" >"$work/stat"
    expect_status 0 "$vmcompact" --json --image="$file"
    expect_text "$work/out" '"domain":null,"uuid":null,"result":"done","disks":\[{"target":null,'
    [ $((before - $(allocated "$file"))) -ge $(($4 * 1048576)) ] || fail "only $((before - $(allocated "$file"))) bytes came back"
    stat -c '%n %U %G %a %i' "$file" | diff "$work/stat" - || fail "it is another file than before"
    [ "$2" = raw ] || qemu-img check -q -f "$2" "$file" || fail "qemu-img check of $file"
    check_content "$file" "$2" "$3"
}

recode ()               # NAME OPTION... - images/NAME.raw as images/NAME.qcow2, written in a special way
{
    local name=$1; shift
    qemu-img convert -q -f raw -O qcow2 "$@" "$images/$name.raw" "$images/$name.qcow2"
}

state ()                # [FILE] - of all images what any change would change, and the checksum of that one
{
    sync "$images"/* # blocks are counted when they are written
    stat -c '%n %i %b %s %y %z %U %a' "$images"/*
    [ ! -f "${1:-}" ] || md5sum "$1"
}

deny ()                 # STATUS TEXT COMMAND... FILE - one sentence, and no file has changed
{
    local status=$1 text=$2 before; shift 2
    say "refused: $text"
    sync -f "$images" # what the host has yet to allocate is not to look like a change
    before=$(state "${!#}")
    expect_status "$status" "$@"
    expect_text "$work/err" "$text"
    [ "$(wc -l <"$work/err")" = 1 ] || { cat "$work/err" >&2; fail "not one sentence"; }
    state "${!#}" | diff <(echo "$before") - || fail "a file has changed"
}

make_image whole raw 160 100 20 disk
make_image mbr raw 160 100 20 mbr
make_image gpt raw 160 100 20 gpt
make_image small qcow2 160 100 20 gpt -b 1024
cp "$images/whole.raw" "$images/odd.raw"; truncate -s +100 "$images/odd.raw"
cp "$images/mbr.raw" "$images/old.raw"; recode old -o compat=0.10
cp "$images/mbr.raw" "$images/sub.raw"; recode sub -o extended_l2=on,cluster_size=128k
cp "$images/gpt.raw" "$images/big.raw"; recode big -o cluster_size=2M
cp "$images/gpt.raw" "$images/tiny.raw"; recode tiny -o cluster_size=512,lazy_refcounts=on
cp "$images/gpt.raw" "$images/packed.raw"; recode packed -c
make_image bare raw 160 100 20 disk -O ^has_journal
compact bare raw 0 60
compact whole raw 0 60
compact mbr raw 1 60
compact gpt raw 1 60
compact odd raw 0 60
compact small qcow2 1 60
compact old qcow2 1 60
compact sub qcow2 1 60
compact big qcow2 1 60
compact tiny qcow2 1 50
compact packed qcow2 1 0

say "an image with a backing file: its own layer only"
make_image base raw 160 100 20 disk -b 1024
qemu-img create -q -f qcow2 -b base.raw -F raw "$images/top.qcow2"
free=$(dumpe2fs "$images/base.raw" 2>/dev/null | sed -n 's/^  Free blocks: //p' | tr -s ', ' '\n' | awk -F- '$2 - $1 > n { n = $2 - $1; at = $1 } END { print at * 1024 }')
qemu-io -f qcow2 -c "write -P 7 $free 32M" "$images/top.qcow2" >/dev/null
sum=$(md5sum <"$images/base.raw")
compact top qcow2 0 25
[ "$(md5sum <"$images/base.raw")" = "$sum" ] || fail "the backing file was written to"

say "two filesystems, one of them not clean: that one is left out, by name"
truncate -s 200M "$images/two.raw"
printf 'label: gpt\nstart=2048, size=163840\nstart=206848, size=163840\n' | sfdisk -q "$images/two.raw"
noise 170 | dd of="$images/two.raw" bs=1M seek=1 conv=notrunc iflag=fullblock status=none count=79
noise 79 | dd of="$images/two.raw" bs=1M seek=101 conv=notrunc iflag=fullblock status=none
for start in 1 101; do mkfs.ext4 -q -F -E nodiscard,offset=$((start * 1048576)) "$images/two.raw" 80M 2>/dev/null; done
loop=$(losetup -f --show -o $((101 << 20)) --sizelimit $((80 << 20)) "$images/two.raw")
mkdir -p "$work/mount"; mount "$loop" "$work/mount"; echo 1 >"$work/mount/one"; sync -f "$work/mount"
cp --sparse=always "$images/two.raw" "$work/unclean.raw"
umount "$work/mount"; losetup -d "$loop"
mv "$work/unclean.raw" "$images/two.raw"
before=$(allocated "$images/two.raw")
see "$images/two.raw" raw; md5_second=$(dd if="$work/seen" bs=1M skip=101 count=80 status=none | md5sum)
expect_status 0 "$vmcompact" -v --image "$images/two.raw"
expect_text "$work/out" "left out: at 101 MiB: its journal needs recovery"
[ $((before - $(allocated "$images/two.raw"))) -gt $((50 << 20)) ] || fail "the clean one gave nothing back"
[ "$(dd if="$images/two.raw" bs=1M skip=101 count=80 status=none | md5sum)" = "$md5_second" ] || fail "the unclean one was changed"

say "what is refused"
rm "$images"/{old,sub,big,tiny,packed}.raw
dd if="$images/two.raw" of="$images/unclean.raw" bs=1M skip=101 count=80 conv=sparse status=none
deny 3 "can be trusted: its journal needs recovery.*start it and shut it down" "$vmcompact" --image "$images/unclean.raw"
make_image early raw 64 40 5 disk -O ^metadata_csum
deny 3 "no metadata_csum" "$vmcompact" --image "$images/early.raw"
noise 8 >"$images/nothing.raw"
deny 3 "can be trusted: there is no ext4" "$vmcompact" --image "$images/nothing.raw"
deny 3 "cannot open" "$vmcompact" --image "$images/missing"
deny 3 "neither a file nor a block device" "$vmcompact" --image "$images"
deny 3 "neither a file nor a block device" "$vmcompact" --image /dev/null
deny 2 "a trim needs a running domain" "$vmcompact" --method=trim --image "$images/gpt.raw"
deny 2 "takes no domain" "$vmcompact" --image "$images/gpt.raw" g
deny 1 "cannot connect" "$vmcompact" -c qemu:///nonsense --image "$images/gpt.raw"
qemu-img create -q -f qcow2 "$images/snap.qcow2" 32M; qemu-img snapshot -c one "$images/snap.qcow2"
deny 3 "internal snapshots" "$vmcompact" --image "$images/snap.qcow2"
printf 'QFI\373nonsense' >"$images/hostile.raw"; truncate -s 1M "$images/hostile.raw"
deny 3 "version" "$vmcompact" --image "$images/hostile.raw"
cp "$images/top.qcow2" "$images/lost.qcow2"; qemu-img rebase -u -f qcow2 -b gone.raw -F raw "$images/lost.qcow2"
deny 3 "cannot be found" "$vmcompact" --image "$images/lost.qcow2"
qemu-img rebase -u -f qcow2 -b 'json:{"driver":"raw","file":{"driver":"file","filename":"'"$images"'/base.raw"}}' -F raw "$images/lost.qcow2" 
deny 3 "cannot be found" "$vmcompact" --image "$images/lost.qcow2"

say "a compact copy: the image is left alone"
make_image source qcow2 160 100 20 gpt
chown 1234:4321 "$images/source.qcow2"; chmod 640 "$images/source.qcow2"
copy ()                 # NAME FORMAT OPTION... - images/source.qcow2 to images/NAME
{
    local name=$1 format=$2 before; shift 2
    before=$(state "$images/source.qcow2" | grep source)
    expect_status 0 "$vmcompact" --json --image="$images/source.qcow2" --output="$images/$name" "$@"
    expect_text "$work/out" '"method":"convert".*"reclaimed_bytes":null'
    [ "$(state "$images/source.qcow2" | grep source)" = "$before" ] || fail "the image was changed"
    [ "$(stat -c '%u:%g %a' "$images/$name")" = "1234:4321 640" ] || fail "owner or mode of the copy"
    [ "$(allocated "$images/$name")" -lt $((45 << 20)) ] || fail "the copy takes $(allocated "$images/$name") bytes"
    check_content "$images/$name" "$format" 1
}
copy same.qcow2 qcow2
[ "$(stat -c %s "$images/same.qcow2")" -lt $((45 << 20)) ] || fail "the copy is long"
copy plain.raw raw --format=raw
copy packed.copy qcow2 --compress --cluster-size=128K
deny 3 "exists already" "$vmcompact" --output="$images/plain.raw" --image "$images/source.qcow2"
deny 3 "same directory" "$vmcompact" --output="$work/top.copy" --image "$images/top.qcow2"
[ ! -e "$work/top.copy" ] || fail "a copy was made"
copies=$(ls "$images")
expect_status 0 "$vmcompact" -n --image "$images/source.qcow2" --output "$images/dry"
expect_status 1 "$bed/at-step" "write the copy" "kill -INT \$PID" -- "$vmcompact" -v --image "$images/source.qcow2" --output "$images/dry"
expect_text "$work/err" "interrupted by signal"
[ "$(ls "$images")" = "$copies" ] || fail "something was left"

say "written anew in its own place"
anew ()                 # FORMAT OPTION...
{
    local format=$1; shift
    expect_status 0 "$vmcompact" --image="$images/source.qcow2" --method=convert "$@"
    [ "$(stat -c '%u:%g %a %h' "$images/source.qcow2")" = "1234:4321 640 1" ] || fail "owner, mode or names of the image"
    [ "$(allocated "$images/source.qcow2")" -lt $((45 << 20)) ] || fail "the image takes $(allocated "$images/source.qcow2") bytes"
    check_content "$images/source.qcow2" "$format" 1
}
expect_status 1 "$bed/at-step" "write the image anew" "kill -INT \$PID" -- "$vmcompact" -v --method=convert --image "$images/source.qcow2"
[ "$(ls "$images")" = "$copies" ] || fail "something was left"
anew qcow2
[ "$(stat -c %s "$images/source.qcow2")" -lt $((45 << 20)) ] || fail "the image is long"
anew raw --format=raw
[ "$(ls "$images")" = "$copies" ] || fail "something was left"
anew qcow2 --format=qcow2 --compress --keep-old
deny 3 "vmcompact-old' is in the way" "$vmcompact" --method=convert --image "$images/source.qcow2"
mv "$images/source.qcow2.vmcompact-old" "$images/source.qcow2"
check_content "$images/source.qcow2" raw 1
ln "$images/source.qcow2" "$images/second"
deny 3 "hard links" "$vmcompact" --method=convert --image "$images/source.qcow2"
rm "$images/second"

say "what others have open"
mkfifo "$work/hold"
for what in "raw -r" "raw" "qcow2 -r" "qcow2"; do
    file=$images/gpt.raw; case $what in qcow2*) file=$images/small.qcow2 ;; esac
    qemu-io -f $what "$file" <"$work/hold" >/dev/null &
    exec 9>"$work/hold"
    for _ in $(seq 50); do grep -q ":$(stat -c %i "$file") 100 " /proc/locks && break; sleep 0.1; done
    deny 3 "has '$file' open: a QEMU" "$vmcompact" --image "$file"
    deny 3 "has '$file' open: a QEMU" "$vmcompact" -n --image "$file"
    exec 9>&-
    wait
done
loop=$(losetup -f --show "$images/gpt.raw")
deny 3 "open for writing" "$vmcompact" --image "$images/gpt.raw"
losetup -d "$loop"

say "what a domain uses, under any name, as a disk or a backing file, running or not"
ln "$images/gpt.raw" "$images/link.raw"
ln -s base.raw "$images/symlink.raw"
define_guest g "$(disk_xml vda "$images/gpt.raw")" "$(disk_xml vdb "$images/top.qcow2")"
deny 3 "'g' uses the same file" "$vmcompact" --image "$images/gpt.raw"
deny 3 "'g' uses the same file" "$vmcompact" --image "$images/link.raw"
deny 3 "'g' uses the same file" "$vmcompact" --image "$images/symlink.raw"
start_guest g
deny 3 "'g' uses the same file" "$vmcompact" --image "$images/base.raw"
virsh -q destroy g
virsh -q undefine g

say "two at once: the second one is busy"
expect_status 0 "$bed/at-step" "read the image" "$vmcompact --image $images/whole.raw 2>$work/second; echo \$? >>$work/second" -- \
    "$vmcompact" -v --image "$images/whole.raw"
expect_text "$work/second" "another vmcompact is at work on this image"
[ "$(tail -n 1 "$work/second")" = 6 ] || fail "the second run was not busy"
check_content "$images/whole.raw" raw 0

say "a host without libvirt"
mv /run/libvirt/libvirt-sock /run/libvirt/away
expect_status 0 "$vmcompact" --image "$images/gpt.raw"
deny 1 "cannot connect" "$vmcompact" -c qemu:///system --image "$images/gpt.raw"
mv /run/libvirt/away /run/libvirt/libvirt-sock
