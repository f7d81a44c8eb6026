# growth.sh - a case of the bench: how cost grows with the disk, with what is used, with free ranges, and with the runs of a qcow2
#
# Images at rest, so that only the program's own work is in the figures. Rows are numbers; report fits an exponent to each series.

grow ()                 # TABLE NUMBER WAY FORMAT
{
    local round result image=$images/copy.$4
    for round in $(seq "$rounds"); do
        rm -f "$image.new"
        result=$(timed "$3" "$4")
        note "$1" "$2" "seconds=$(of seconds "$result")" "read_MiB=$(of read_MiB "$result")" "written_MiB=$(of written_MiB "$result")"
    done
    rm -f "$image.new"
    note "$1" "$2" "$(memory_of "$3" "$4")"
    rm -f "$image.new"
}

grow_disk ()
{
    local gib
    for gib in ${BENCH_DISKS_GIB:-8 128 2048 16383}; do
        make_image one qcow2 $((gib * 1024)) 1024 400 gpt
        fresh one qcow2
        grow "growth: GiB of the disk, in place, 0.4 GiB used" "$gib" dry_run qcow2
        clear_room
    done
}

grow_used ()
{
    local used
    for used in ${BENCH_USED_MIB:-256 1024 4096}; do
        make_image one qcow2 8192 $((used + used / 4)) "$used" mbr
        fresh one qcow2
        in_place "$images/copy.qcow2" >/dev/null
        grow "growth: MiB used, convert" "$used" convert qcow2
        grow "growth: MiB used, limit: a plain copy" "$used" plain_copy qcow2
        clear_room
    done
}

# A file of which every second block is a hole, so that every second block of the filesystem is free, and all is on the host.
fragmented ()           # RANGES
{
    local raw=$images/one.raw loop bytes=$(($1 * 8192))
    noise $((bytes / mib + 320)) >"$raw"
    printf 'label: dos\nstart=2048, type=83\n' | sfdisk -q "$raw"
    echo $mib >"$work/one.offset"
    mkfs.ext4 -q -F -E "nodiscard,offset=$mib,lazy_itable_init=0" "$raw" $((bytes / mib + 318))M 2>/dev/null
    loop=$(losetup -f --show -o $mib "$raw")
    mkdir -p "$work/mount"
    mount "$loop" "$work/mount"
    "$limits" comb "$work/mount/comb" "$1"
    umount "$work/mount"
    losetup -d "$loop"
}

punch_ranges ()         # RANGES - by vmcompact, and the same by themselves
{
    local round
    for round in $(seq "$rounds"); do
        fresh one raw
        note "growth: free ranges, in place" "$1" "$(timed in_place raw)"
        "$limits" ranges "$images/one.raw" "$images/copy.raw" >"$work/ranges"
        [ "$round" != 1 ] || check_result "$images/copy.raw" raw
        fresh one raw
        note "growth: free ranges, limit: the punches alone" "$1" "$(timed punches raw)"
    done
}

grow_ranges ()
{
    local ranges
    for ranges in ${BENCH_RANGES:-1000 10000 100000 1000000}; do
        fragmented "$ranges"
        fresh one raw
        grow "growth: free ranges, until they are known" "$ranges" dry_run raw
        punch_ranges "$ranges"
        clear_room
    done
}

# Written from the end to the beginning, no cluster follows the one before.
grow_runs ()
{
    local runs
    for runs in ${BENCH_RUNS:-1000 10000 100000}; do
        keep_zeros= make_image one raw 2048 40 20 disk
        qemu-img convert -f raw -O qcow2 -o cluster_size=4096 "$images/one.raw" "$images/copy.qcow2"
        echo 0 >"$work/copy.offset"
        seq "$runs" -1 1 | awk '{ printf "write -q -P 7 %d 4096\n", 1073741824 + $1 * 8192 }' | qemu-io -f qcow2 "$images/copy.qcow2" >/dev/null
        grow "growth: runs of a qcow2, in place" "$runs" dry_run qcow2
        in_place "$images/copy.qcow2" >/dev/null
        check_result "$images/copy.qcow2" qcow2
        clear_room
    done
}

growth_case () { grow_disk; grow_used; grow_ranges; grow_runs; }
