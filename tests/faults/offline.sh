# An image at rest, while something dies: the image is as good as before, nothing is left, and the next run does the rest.
. "$(dirname "$0")/faults.sh"

points="locked punch punched $(in_long lock punching)" nbd_points="locked punching $(in_long punch)"

fresh ()                # FORMAT - an image of "g", which is off, with something to give back
{
    [ -e "$work/master.$1" ] || { make_image g "$1" "$size" "$dirty" "$files" mbr; mv "$images/g.$1" "$work/master.$1"; }
    cp "$work/master.$1" "$images/g.$1"
    see "$1" >"$work/before"
    remember g
}

see ()                  # FORMAT - the checksum of every file in the image
{
    local loop mount=$work/mount
    rm -f "$work/seen"; mkdir -p "$mount"
    qemu-img convert -q -f "$1" -O raw "$images/g.$1" "$work/seen"
    loop=$(losetup -f --show -r -o "$(cat "$work/g.offset")" "$work/seen")
    mount -o ro,noload "$loop" "$mount"
    (cd "$mount" && find . -type f | sort | xargs md5sum)
    umount "$mount"
    losetup -d "$loop"
}

check_at_rest ()        # FORMAT - nothing is lost and nothing left
{
    check_same g
    check_nothing_left
    check_image g "$1"
    see "$1" | diff "$work/before" - || fail "a file in the image is damaged"
}

check_next ()           # FORMAT - the next run needs no --recover, and gives back all that is left
{
    expect_status 0 timeout 60 "$vmcompact" g
    [ "$(allocated "$images/g.$1")" -lt $((30 << 20)) ] || fail "$(allocated "$images/g.$1") bytes are left after the next run"
    check_at_rest "$1"
}

for format in qcow2 raw; do
    [ $format = qcow2 ] || ! in_short || { points=punching nbd_points=punch; }
    [ $format = qcow2 ] || { virsh -q undefine g; rm "$images/g.qcow2"; }
    define_guest g "$(disk_xml vda "$images/g.$format")"
    fresh $format
    for point in $points; do
        say "vmcompact is killed at '$point' ($format)"
        fresh $format
        at "$point" 'kill -KILL $pid' "$vmcompact" g
        [ "$status" = 137 ] || fail "it was not killed: $status"
        check_at_rest $format
        check_next $format

        say "SIGTERM at '$point' ($format)"
        fresh $format
        at "$point" 'kill -TERM $pid' "$vmcompact" g
        if [ "$point" = punched ]; then expect_end 0; else expect_end 1 "interrupted by signal"; fi
        check_at_rest $format
        check_next $format
    done
    for point in $nbd_points; do
        say "qemu-nbd is killed at '$point' ($format)"
        fresh $format
        at "$point" 'pkill -KILL -P $pid qemu-nbd' "$vmcompact" g
        expect_end 1 "the guard over the base"
        check_at_rest $format
        check_next $format
    done
done

say "the domain cannot be started in the middle"
for point in locked punch; do
    fresh raw
    at $point 'started=0; virsh start g 2>$work/start || started=$?; echo $started >>$work/start' "$vmcompact" g
    expect_end 0
    tail -n 5 /var/log/libvirt/qemu/g.log >>"$work/start" # libvirt may have looked too late to tell why
    expect_text "$work/start" 'Failed to get "write" lock'
    grep -qx 1 "$work/start" || fail "the domain was started"
    check_at_rest raw
done

say "somebody writes to the image in the middle, past all locks: nothing goes on"
write_some='dd if=$images/g.raw of=$images/g.raw bs=512 count=1 conv=notrunc status=none'
for point in locked punch punching; do
    fresh raw
    before=$(allocated "$images/g.raw")
    at $point "$write_some" "$vmcompact" g
    expect_end 1 "somebody has written to the image meanwhile"
    [ "$(allocated "$images/g.raw")" = "$before" ] || fail "holes were punched after that"
    check_at_rest raw
done
for point in rewriting rewritten; do
    fresh raw
    at $point "$write_some" "$vmcompact" --method=convert g
    expect_end 1 "somebody has written to the image meanwhile"
    cmp "$images/g.raw" "$work/master.raw" || fail "the image is another one"
    check_at_rest raw
done

say "the domain is started, saved or given to somebody else after the plan was made"
fresh raw
at lock 'virsh -q start g' "$vmcompact" g
expect_end 3 "open for writing"
virsh -q destroy g
at lock 'virsh -q start g; virsh -q managedsave g' "$vmcompact" g
expect_end 3 "starts the domain, or has saved it"
virsh -q managedsave-remove g
expect_status 3 "$vmcompact" g # libvirt still says "saved": it may have been to a file
virsh -q start g
virsh -q destroy g
at locked 'virsh dumpxml g | sed "s,<name>g<,<name>twin<,; /<uuid>/d; s,$work/g[.],$work/twin.,g" >$work/twin.xml; virsh -q define $work/twin.xml' "$vmcompact" g
expect_end 3 "'twin' has begun to use the same file"
virsh -q undefine twin
at locked 'mv $images/g.raw $images/moved; cp $images/moved $images/g.raw' "$vmcompact" g
expect_end 1 "another file than before"
rm "$images/moved"
remember g
check_at_rest raw
check_next raw
