# live.sh - cases of the bench: the same image in a guest that runs, and how long its writes are held
#
# A probe in the guest writes and syncs one block again and again, beside the two writers of the test bed; the longest time without
# such a write during a run is what the guest notices of it. frozen_ms is by the agent's clock, paused_ms by vmcompact's.

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

boot ()                 # IMAGE DRIVER_ATTRIBUTES WRITERS - guest g, with agent, probe and writers
{
    define_guest g "$(disk_xml vda "$1" "$2")" "$(probe_channel)"
    start_guest g
    guest g "mount -o noinit_itable /dev/vda1 /mnt" >/dev/null
    start_agent g
    start_writers g /mnt "$3"
    [ "$3" = 0 ] || start_probe
    sleep 2
    qemu_pid=$(cat /run/libvirt/qemu/g.pid)
}

# A figure of a damaged guest is none.
halt ()                 # FORMAT WRITERS
{
    if [ "$2" != 0 ]; then
        guest g "killall probe" >/dev/null
        check_writers g /mnt
    fi
    check_files g /mnt
    stop_guest g
    [ "$2" = 0 ] || wait "$listener" || true
    check_image copy "$1"
    virsh -q undefine g
}

live_run ()             # TABLE ROW WRITERS COMMAND...
{
    local table=$1 row=$2 writers=$3 result gap=; shift 3
    drop_cached
    result=$("$measure" run --pid "$qemu_pid" "$images" "$work/log" "$@")
    [ "$writers" = 0 ] || { sleep 1; gap=$("$measure" gap "$work/times" "$(of began "$result")" "$(of ended "$result")"); }
    note "$table" "$row" "${result% began=*}" "qemu_written_MiB=$(of qemu_written_MiB "$result")" "$gap" "$(said)" \
        "before_MiB=$before" "$(sizes "$image")"
}

said ()                 # what vmcompact has printed of the times
{
    local frozen paused
    frozen=$(sed -n 's/^vda .* \([0-9]*\) ms$/\1/p' "$work/log")
    paused=$(sed -n 's/.*paused for \([0-9]*\) ms.*/\1/p' "$work/log")
    echo "${frozen:+frozen_ms=$frozen} ${paused:+paused_ms=$paused}"
}

# The image has what a guest that runs with it needs: a new copy for each figure.
live_way ()             # TABLE ROW DRIVER_ATTRIBUTES WRITERS COMMAND...
{
    local table=$1 row=$2 driver=$3 writers=$4 image=$images/copy.qcow2 before; shift 4
    fresh one qcow2
    boot "$image" "$driver" "$writers"
    before=$(in_mib "$(allocated "$image")")
    live_run "$table" "$row" "$writers" "$@"
    [ "$round" != 1 ] || note "$table" "$row" "$("$measure" memory "$work/log" "$@")"
    case $row in *commit*writers) limits_of_commit "$table" ;; *convert*writers) limits_of_convert "$table" ;; esac
    halt qcow2 "$writers"
}

disk_bytes () { virsh domblkinfo g vda | awk '/Capacity/ { print $2 }'; }

overlays ()             # COUNT - empty ones, in turn over the image that the guest runs on: their names
{
    local n
    for n in $(seq "$1"); do
        rm -f "$images/limit.$n"
        qemu-img create -q -u -f qcow2 -F qcow2 -b "$image" "$images/limit.$n" "$(disk_bytes)"
        chown libvirt-qemu "$images/limit.$n"
        echo "$images/limit.$n"
    done
}

round_trips ()          # TABLE ROW OVERLAYS
{
    note "$1" "limit: libvirt's round trips of a $2" "$("$limits" moves g vda $(overlays "$3"))"
    rm -f "$images"/limit.*
}

# Beside the same guest. What the punches alone take, on a copy that no guest runs with.
limits_of_commit ()     # TABLE
{
    "$limits" ranges "$images/one.qcow2" "$image" >"$work/ranges"
    cp --sparse=always "$images/one.qcow2" "$images/limit.qcow2"
    drop_cached
    note "$1" "limit: the punches alone" "$("$limits" punch "$images/limit.qcow2" <"$work/ranges")"
    rm "$images/limit.qcow2"
    round_trips "$1" commit 1
}

limits_of_convert ()    # TABLE
{
    drop_cached
    note "$1" "limit: a plain copy of what is used" "$("$limits" copy "$image" "$images/limit.qcow2")"
    rm "$images/limit.qcow2"
    round_trips "$1" convert 3
}

# How long it takes until all is written; what comes then, the verification, is counted apart.
until_written ()        # TABLE
{
    local image=$images/copy.qcow2 began ended
    [ -x "$faulty" ] || return 0
    fresh one qcow2
    boot "$image" "" 2
    drop_cached
    began=$EPOCHREALTIME
    VMC_FAULT_POINT=settled,name VMC_FAULT_ACTION="echo \$POINT \$(date +%s.%N) >>$work/points" "$faulty" --method=convert g >"$work/log"
    ended=$EPOCHREALTIME
    note "$1" "convert, its verification alone" \
        "seconds=$(awk '/settled/ { at = $2 } /name/ { printf "%.3f", $2 - at }' "$work/points")" "of_MiB=$(in_mib "$(allocated "$image")")"
    rm "$work/points"
    halt qcow2 2
}

fill_and_convert ()     # TABLE - the guest fills its disk with zeros, is shut down, and the image is converted; then it boots again
{
    local image=$images/copy.qcow2 first second
    fresh one qcow2
    boot "$image" "" 0
    drop_cached
    export guest_timeout=900 bed
    first=$("$measure" run --pid "$qemu_pid" "$images" "$work/log" "$bed/guest-exec" "$work/g.shell" 900 \
        "dd if=/dev/zero of=/mnt/zero bs=1M 2>/dev/null; sync; rm /mnt/zero; sync")
    halt qcow2 0
    drop_cached
    second=$("$measure" run "$images" "$work/log" bash -ec "qemu_img_convert '$image' qcow2")
    note "$1" "zero-fill and qemu-img convert" \
        "seconds=$(awk "BEGIN { print $(of seconds "$first") + $(of seconds "$second") }")" "down_s=$(of seconds "$second")" \
        "qemu_written_MiB=$(of qemu_written_MiB "$first")" "read_MiB=$(of read_MiB "$second")" "written_MiB=$(of written_MiB "$second")" \
        "extra_MiB=$(awk "BEGIN { print $(of extra_MiB "$first") + $(of extra_MiB "$second") }")" "$(sizes "$image.new")"
    rm "$image.new"
}

live_case ()
{
    local table="running" round
    make_image one qcow2 8192 3481 400 mbr
    for round in $(seq "$rounds"); do
        live_way "$table" "vmcompact, commit, 2 writers" "" 2 "$vmcompact" -v --method=commit g
        live_way "$table" "vmcompact, commit, no writer" "" 0 "$vmcompact" -v --method=commit g
        live_way "$table" "vmcompact, convert, 2 writers" "" 2 "$vmcompact" -v --method=convert g
        until_written "$table"
        live_way "$table" "vmcompact, trim, discard='unmap'" "discard='unmap'" 2 "$vmcompact" -v --method=trim g
        live_way "$table" "fstrim, discard='unmap'" "discard='unmap'" 2 "$bed/guest-exec" "$work/g.shell" 900 "fstrim /mnt"
        [ "$round" -gt "$slow_rounds" ] || fill_and_convert "$table"
    done
    clear_room
}

# --- how long writes are held ----------------------------------------------------------------------------------------

held ()                 # ROW RUNS MEMORY_MIB
{
    local image=$images/copy.qcow2 run result
    fresh one qcow2
    guest_memory=$3 boot "$image" "" 2
    for run in $(seq "$2"); do
        result=$("$measure" run "$images" "$work/log" "$vmcompact" -v --method=commit g)
        sleep 0.3
        note "writes held by a commit" "$1" "seconds=$(of seconds "$result")" "$(said)" \
            "$("$measure" gap "$work/times" "$(of began "$result")" "$(of ended "$result")")"
    done
    for run in $(seq 20); do # as long as a run
        result=$EPOCHREALTIME
        sleep 1
        note "writes held by a commit" "$1, no run" "$("$measure" gap "$work/times" "$result" "$EPOCHREALTIME")"
    done
    halt qcow2 2
}

held_case ()
{
    local size
    for size in ${BENCH_HELD_GIB:-8 1024}; do
        make_image one qcow2 $((size * 1024)) 1024 400 gpt
        held "disk of $size GiB" "${BENCH_HELD_RUNS:-100}" 256
        clear_room
    done
}
