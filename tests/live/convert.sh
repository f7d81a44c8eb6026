# The image written anew while two writers are at it: same path, same XML, as small as one that was made from a zeroed copy.
. "$(dirname "$0")/../bed/bed.sh"
image_facts='%n %U %G %a'

up ()                   # NAME FORMAT LAYOUT [EXTRA]
{
    define_guest "$1" "$(disk_xml vda "$images/$1.$2" "${3:-}")"
    start_guest "$1"
    guest "$1" "mount -o noinit_itable /dev/vda1 /mnt" # the kernel does not write inode tables meanwhile
    start_agent "$1"
    remember "$1"
}

convert ()              # NAME OPTION... - and the guest is as it was
{
    local name=$1; shift
    say "convert $*"
    expect_status 0 "$vmcompact" --method=convert --json "$@" "$name"
    cat "$work/out"
}

down ()                 # NAME FORMAT
{
    check_writers "$1" /mnt
    check_files "$1" /mnt
    stop_guest "$1"
    check_image "$1" "$2"
}

check_driver ()         # NAME FORMAT - the format is in both XMLs, and nothing else has changed
{
    sed -i "s/\(<driver name='qemu' type='\)[a-z0-9]*'/\1$2'/" "$work/$1.inactive" "$work/$1.live"
    check_same "$1"
}

within_2_percent ()     # WHAT FOUND WANTED
{
    [ $(($2 * 100)) -le $(($3 * 102)) ] && [ $(($2 * 100)) -ge $(($3 * 98)) ] || fail "$1: $2 bytes, not about $3"
}

quiet ()                # FORMAT - nobody writes: the size is exactly that of a zeroed copy
{
    say "$1, without writers"
    make_image q "$1" 768 400 100 mbr
    up q "$1"
    convert q
    check_same q
    guest q "umount /mnt" >/dev/null
    virsh -q destroy q
    set -- "$1" $(from_zeroed_copy "$images/q.$1" "$1" "$(cat "$work/q.offset")")
    within_2_percent "on the host" "$(allocated "$images/q.$1")" "$2"
    within_2_percent "length" "$(stat -c %s "$images/q.$1")" "$3"
    virsh -q undefine q
    rm "$images/q.$1"
}

busy ()                 # two writers, and one option after the other
{
    local before after inode
    make_image g qcow2 512 300 60 mbr
    chown 1234:1235 "$images/g.qcow2"; chmod 640 "$images/g.qcow2"
    up g qcow2
    start_writers g /mnt 2
    before=$(allocated "$images/g.qcow2") inode=$(stat -c %i "$images/g.qcow2")
    convert g
    after=$(allocated "$images/g.qcow2")
    [ $((before - after)) -gt $((150 * 1048576)) ] || fail "only $((before - after)) bytes came back"
    [ "$(stat -c %s "$images/g.qcow2")" -lt $((before / 2)) ] || fail "the file is as long as before"
    [ "$(stat -c %i "$images/g.qcow2")" != "$inode" ] || fail "the file is the same"
    check_same g

    convert g --format=raw
    check_driver g raw
    convert g --format=qcow2 --cluster-size=2M --keep-old
    [ -e "$images/g.qcow2.vmcompact-old" ] || fail "the old image was not kept"
    say "refused: the old image is in the way"
    expect_status 3 "$vmcompact" --method=convert g
    expect_text "$work/err" "vmcompact-old' is in the way"
    rm "$images/g.qcow2.vmcompact-old"
    check_driver g qcow2
    qemu-img info -U "$images/g.qcow2" | grep -q '^cluster_size: 2097152' || fail "not the size of the clusters that was asked for"
    convert g --compress --cluster-size=64K --bandwidth=200
    check_same g
    down g qcow2
    qemu-img check --output=json "$images/g.qcow2" | grep -q '"compressed-clusters": [1-9]' || fail "nothing is compressed"
    [ "$(stat -c '%u:%g %a' "$images/g.qcow2")" = "1234:1235 640" ] || fail "owner or mode changed: $(stat -c '%u:%g %a' "$images/g.qcow2")"
    virsh -q undefine g
    rm "$images/g.qcow2"
}

clone ()                # only the domain's own layer is written anew; the template stays as it is
{
    say "an image over a template"
    make_image template qcow2 512 100 40 mbr
    qemu-img create -q -f qcow2 -F qcow2 -b "$images/template.qcow2" "$images/c.qcow2"
    cp "$work/template.offset" "$work/c.offset"
    local sum; sum=$(md5sum "$images/template.qcow2")
    define_guest c "$(disk_xml vda "$images/c.qcow2")"
    start_guest c
    guest c "mount /dev/vda1 /mnt && dd if=/dev/urandom of=/mnt/waste bs=1M count=100 conv=fsync 2>/dev/null && rm /mnt/waste" >/dev/null
    start_agent c
    start_writers c /mnt 2
    remember c
    local before; before=$(allocated "$images/c.qcow2")
    convert c
    check_same c
    [ $((before - $(allocated "$images/c.qcow2"))) -gt $((60 * 1048576)) ] || fail "too little came back"
    down c qcow2
    [ "$(md5sum "$images/template.qcow2")" = "$sum" ] || fail "the template was written to"
    virsh -q undefine c
}

quiet qcow2
busy
clone
