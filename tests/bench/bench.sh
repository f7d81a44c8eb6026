#!/bin/bash
# bench.sh - "make bench": how long vmcompact takes and what it costs, beside the other ways, as tables of medians
#
#   BENCH_ROUNDS  how often each is measured (3)
#   BENCH_CASES   image: 8 GiB, 3.4 GiB of it on the host, 0.4 GiB in use; large: 1 TiB, nearly empty; live: the first one in a
#                 guest, beside two writers and without
#   BENCH_FORMATS qcow2 and raw
#
# The images lie in an ext4 of their own on a loop device without a page cache below it: its counters tell what was read and
# written, to the byte. Every measurement begins with cold caches, and with a fresh copy of the image where the one before
# has changed it. Only what does not work fails; no figure does.
. "$(dirname "$0")/../bed/bed.sh"

here=$(cd "$(dirname "$0")" && pwd)
measure=$here/measure
probe=$top_builddir/tests/bench/probe
faulty=$top_builddir/tests/faults/vmcompact
rounds=${BENCH_ROUNDS:-3}
results=$work/results
mib=1048576

make_room ()            # the ext4 of the images, and $stat, the counters of its device
{
    local loop
    truncate -s 64G "$work/room"
    mkfs.ext4 -q -E lazy_itable_init=0 "$work/room"
    loop=$(losetup --direct-io=on -f --show "$work/room")
    mount "$loop" "$images" || { losetup -d "$loop"; fail "mount"; }
    losetup -d "$loop" # goes with the mount
    rmdir "$images/lost+found"
    chmod 755 "$images"
    stat=/sys/block/${loop##*/}/stat
}

note ()                 # TABLE ROW PAIR... - of what is measured
{
    local table=$1 row=$2; shift 2
    printf '%s\t%s\t%s\n' "$table" "$row" "$*" >>"$results"
    say "$table: $row: $*"
}

remark () { say "$*"; echo "$*" >>"$work/remarks"; }
in_mib () { echo "$(($1 / (mib / 10)))" | sed 's/.$/.&/; s/^\./0./'; }
sizes () { echo "after_MiB=$(in_mib "$(allocated "$1")") length_MiB=$(in_mib "$(stat -c %s "$1")")"; }
over () { awk "BEGIN { printf \"%.3f\", $1 / $2 }"; }
of () { sed -n "s/.*\b$1=\([0-9.]*\).*/\1/p" <<<"$2"; }     # KEY PAIRS - its value

have ()                 # PROGRAM PACKAGE...
{
    local program=$1; shift
    command -v "$program" >/dev/null && return
    say "left out: there is no $program; apt-get install --no-install-recommends $*"
    return 1
}

fresh ()                # NAME FORMAT - a copy of image NAME as copy.FORMAT
{
    rm -f "$images"/copy*
    cp --sparse=always "$images/$1.$2" "$images/copy.$2"
    cp "$work/$1.offset" "$work/copy.offset"
    sync -f "$images"
}

# --- the ways ---------------------------------------------------------------------------------------------------

in_place () { "$vmcompact" --image="$1" --method=commit; }
convert () { "$vmcompact" --image="$1" --method=convert --output="$1.new"; }
virt_sparsify () { virt-sparsify -q --in-place --format "$2" "$1"; }
qemu_img_convert () { qemu-img convert -f "$2" -O "$2" "$1" "$1.new"; }

# zerofree knows no images and no partitions.
zerofree_and_convert () # FILE FORMAT
{
    local raw=$1 loop
    [ "$2" = raw ] || { raw=$1.raw; qemu-img convert -f "$2" -O raw "$1" "$raw"; }
    loop=$(losetup -f --show -o 1048576 "$raw")
    zerofree "$loop" || { losetup -d "$loop"; return 1; }
    losetup -d "$loop"
    qemu-img convert -f raw -O "$2" "$raw" "$1.new"
    [ "$raw" = "$1" ] || rm "$raw"
}

export vmcompact
export -f in_place convert virt_sparsify qemu_img_convert zerofree_and_convert

timed ()                # WAY FORMAT - on the copy
{
    "$measure" run "$stat" "$work/log" bash -ec "$1 '$images/copy.$2' $2"
}

# --- an image at rest ---------------------------------------------------------------------------------------------

# Both parts of a convert's reading: what it writes anew, and the verification behind that.
reads_until_written ()  # FORMAT
{
    local before
    rm -f "$images/copy.$1.new"
    before=$(awk '{print $3}' "$stat")
    vmcompact=$faulty VMC_FAULT_POINT=written VMC_FAULT_ACTION="cat $stat >$work/written" timed convert "$1" >/dev/null || return
    in_mib $((($(awk '{print $3}' "$work/written") - before) * 512))
}

measure_way ()          # TABLE ROW WAY FORMAT USED_BYTES
{
    local result read image=$images/copy.$4
    result=$(timed "$3" "$4")
    read=$(of read_MiB "$result")
    [ ! -e "$image.new" ] || image=$image.new
    note "$1" "$2" "${result% began=*}" "read_%_of_disk=$(over "$read * 100" 8192)" "read_of_used=$(over "$read" "$(in_mib "$5")")" \
        "$(sizes "$image")"
}

check_result ()         # FILE FORMAT - a figure of a damaged image is none
{
    mv "$1" "$images/checked.$2"
    echo "$mib" >"$work/checked.offset"
    check_image checked "$2"
    rm "$images/checked.$2"
}

compare_converts ()     # TABLE FORMAT USED_BYTES
{
    local until
    [ -x "$faulty" ] || return 0
    until=$(reads_until_written "$2")
    remark "$1: until all is written, convert reads $until MiB, $(over "$until" "$(in_mib "$3")") of what is in use; the rest is verification"
}

image_case ()           # FORMAT
{
    local table="image at rest, $1: 8 GiB, 3.4 GiB on the host" small used round
    make_image one "$1" 8192 3481 400 mbr
    small=$(from_zeroed_copy "$images/one.$1" "$1" "$mib")
    used=${small% *}
    [ "$1" = raw ] || { used=$(from_zeroed_copy "$images/one.$1" "$1" "$mib" raw); used=${used% *}; }
    remark "$table: $(in_mib "$used") MiB are in use and stored; a copy with zeros in what is free becomes $(in_mib "${small% *}") MiB," \
        "length $(in_mib "${small#* }") MiB, by qemu-img convert"
    for round in $(seq "$rounds"); do
        fresh one "$1"
        measure_way "$table" "qemu-img convert alone" qemu_img_convert "$1" "$used"
        rm "$images/copy.$1.new"
        measure_way "$table" convert convert "$1" "$used"
        [ "$round" != 1 ] || check_result "$images/copy.$1.new" "$1"
        [ "$round" != 1 ] || compare_converts "$table" "$1" "$used"
        rm -f "$images/copy.$1.new"
        measure_zerofree "$table" "$1" "$used"
        measure_way "$table" "in place" in_place "$1" "$used"
        [ "$round" != 1 ] || check_result "$images/copy.$1" "$1"
        measure_virt_sparsify "$table" "$1" "$used"
    done
    rm "$images"/*
    fstrim "$images"
}

measure_zerofree ()     # TABLE FORMAT USED_BYTES - a qcow2 is left as it was
{
    have zerofree zerofree || return 0
    measure_way "$1" "zerofree and convert" zerofree_and_convert "$2" "$3"
    rm "$images/copy.$2.new"
    [ "$2" = qcow2 ] || fresh one "$2"
}

measure_virt_sparsify () # TABLE FORMAT USED_BYTES
{
    have virt-sparsify guestfs-tools supermin linux-image-cloud-amd64 || return 0
    fresh one "$2"
    guestfs "$2"
    measure_way "$1" "virt-sparsify --in-place" virt_sparsify "$2" "$3"
}

guestfs ()              # FORMAT - once, before anything is measured: libguestfs makes its appliance; where KVM hangs, it is not used
{
    export LIBGUESTFS_BACKEND=direct LIBGUESTFS_CACHEDIR=$work TMPDIR=$work
    [ -z "${appliance:-}" ] || return 0
    timeout 90 bash -c "virt_sparsify '$images/copy.$1' $1" >"$work/log" 2>&1 || {
        export LIBGUESTFS_BACKEND_SETTINGS=force_tcg
        remark "virt-sparsify: without KVM, which does not work here"
        fresh one "$1"
        timeout 300 bash -c "virt_sparsify '$images/copy.$1' $1" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "virt-sparsify"; }
    }
    appliance=made
    fresh one "$1"
}

# --- a large one ---------------------------------------------------------------------------------------------------

large_case ()           # FORMAT
{
    local table="image at rest, 1 TiB, nearly empty" result round
    make_image large "$1" $((1024 * 1024)) 1024 400 mbr
    for round in $(seq "$rounds"); do
        fresh large "$1"
        result=$(timed in_place "$1")
        note "$table" "in place, $1" "${result% began=*}" "before_MiB=$(in_mib "$(allocated "$images/large.$1")")" "$(sizes "$images/copy.$1")"
        fresh large "$1"
        note "$table" "in place, $1" "$("$measure" memory "$work/log" "$vmcompact" --image="$images/copy.$1" --method=commit)"
    done
    rm "$images"/*
    fstrim "$images"
}

# --- a guest that runs -----------------------------------------------------------------------------------------------

probe_channel ()
{
    echo "<channel type='unix'><source mode='bind' path='$work/probe.sock'/><target type='virtio' name='org.vmcompact.probe.0'/></channel>"
}

start_probe ()          # the port has the name that the kernel gave it: only some of the links may be there
{
    local port try
    rm -f "$work/times"
    "$measure" listen "$work/probe.sock" "$work/times" &
    listener=$!
    port="\$(grep -lx org.vmcompact.probe.0 /sys/class/virtio-ports/*/name | cut -d/ -f5)"
    guest g "/bin/probe /mnt/probe /dev/$port >/tmp/probe.log 2>&1 & sleep 0.1" >/dev/null
    for try in $(seq 100); do
        [ ! -s "$work/times" ] || return 0
        sleep 0.1
    done
    guest g "cat /tmp/probe.log" >&2
    fail "nothing came from the probe"
}

start_live ()           # FORMAT WRITERS
{
    fresh one "$1"
    define_guest g "$(disk_xml vda "$images/copy.$1")" "$(probe_channel)"
    start_guest g
    guest g "mount -o noinit_itable /dev/vda1 /mnt" >/dev/null
    start_agent g
    start_writers g /mnt "$2"
    start_probe
    sleep 3
}

stop_live ()            # FORMAT WRITERS - a figure of a damaged guest is none
{
    guest g "killall probe" >/dev/null
    [ "$2" = 0 ] || check_writers g /mnt
    check_files g /mnt
    stop_guest g
    wait "$listener" || true
    check_image copy "$1"
    virsh -q undefine g
}

gap ()                  # FROM TO
{
    local found
    found=$("$measure" gap "$work/times" "$1" "$2") || return
    of gap_ms "$found"
}

live_round ()           # FORMAT METHOD WRITERS - the longest time without a write in it, before it and after it
{
    local quiet begin end after result frozen paused gap_in gap_before gap_after
    start_live "$1" "$3"
    quiet=$EPOCHREALTIME; sleep 6
    begin=$EPOCHREALTIME
    result=$("$measure" run "$stat" "$work/log" "$vmcompact" -v --method="$2" g)
    after=$EPOCHREALTIME; sleep 6
    end=$EPOCHREALTIME; sleep 1
    frozen=$(sed -n 's/^vda .* \([0-9]*\) ms$/\1/p' "$work/log")
    paused=$(sed -n 's/.*paused for \([0-9]*\) ms.*/\1/p' "$work/log")
    gap_in=$(gap "$(of began "$result")" "$(of ended "$result")")
    gap_before=$(gap "$quiet" "$begin")
    gap_after=$(gap "$after" "$end")
    note "running guest, $1" "$2, $3 writers" "seconds=$(of seconds "$result") frozen_ms=$frozen paused_ms=${paused:-0} gap_ms=$gap_in" \
        "gap_before_ms=$gap_before gap_after_ms=$gap_after $(sizes "$images/copy.$1")"
    stop_live "$1" "$3"
}

live_case ()            # FORMAT
{
    local round
    make_image one "$1" 8192 3481 400 mbr
    for round in $(seq "$rounds"); do
        live_round "$1" commit 2
        live_round "$1" convert 2
        live_round "$1" convert 0
    done
    rm "$images"/*
    fstrim "$images"
}

# --- all of it -------------------------------------------------------------------------------------------------------

make_room
for case in ${BENCH_CASES:-image large live}; do
    for format in ${BENCH_FORMATS:-qcow2 raw}; do
        remark "$case, $format: load $(cut -d' ' -f1-3 /proc/loadavg) at its begin, $(nproc) processors"
        "${case}_case" "$format"
    done
done
printf '\nMedians of %s; seconds (least-most); gap: the longest time between two synced writes of the guest that had reached the disk\n' "$rounds"
"$measure" table "$results"
printf '\n'
cat "$work/remarks"
