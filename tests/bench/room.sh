# room.sh - sourced by the cases of the bench: where the images lie, how a figure is taken, where it goes
#
# The images lie in an ext4 of their own, on a loop device without a page cache below it. Before each measurement what is cached of
# the images is dropped; programs stay where they are: the first one to be run shall not be the slowest. Each figure is a line in
# $results: TABLE, ROW and key=value pairs, with tabs between; report makes tables and medians of them, plot pictures.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
measure=$here/measure
limits=$top_builddir/tests/bench/limits
probe=$top_builddir/tests/bench/probe
rounds=${BENCH_ROUNDS:-5}
slow_rounds=${BENCH_SLOW_ROUNDS:-$rounds}
results=${BENCH_RESULTS:-$work/results}
mib=1048576
export vmcompact images work

make_room ()            # [MIB]
{
    local loop
    truncate -s "${1:-98304}M" "$work/room"
    mkfs.ext4 -q -E lazy_itable_init=0 "$work/room"
    loop=$(losetup --direct-io=on -f --show "$work/room")
    mount "$loop" "$images" || { losetup -d "$loop"; fail "mount"; }
    losetup -d "$loop" # goes with the mount
    rmdir "$images/lost+found"
    chmod 755 "$images"
}

clear_room () { rm -rf "${images:?}"/*; fstrim "$images"; }

note ()                 # TABLE ROW PAIR...
{
    local table=$1 row=$2; shift 2
    printf '%s\t%s\t%s\n' "$table" "$row" "$*" >>"$results"
    say "$table: $row: $*"
}

of () { sed -n "s/.*\b$1=\([0-9.]*\).*/\1/p" <<<"$2"; }     # KEY PAIRS - its value
in_mib () { awk "BEGIN { printf \"%.1f\", $1 / $mib }"; }
sizes () { echo "after_MiB=$(in_mib "$(allocated "$1")") length_MiB=$(in_mib "$(stat -c %s "$1")")"; }

have ()                 # PROGRAM PACKAGE... - there, or installed; else said to be missing
{
    local program=$1; shift
    command -v "$program" >/dev/null || "$bed/install-needs" "$@" >/dev/null 2>&1 || true
    command -v "$program" >/dev/null && return
    say "left out: there is no $program"
    note missing "$program" ""
    return 1
}

drop_cached ()          # what the page cache has of the images
{
    local file
    sync -f "$images"
    for file in "$images"/*; do [ ! -f "$file" ] || dd if="$file" iflag=nocache count=0 status=none; done
}

fresh ()                # NAME FORMAT - a copy of image NAME as copy.FORMAT
{
    rm -f "$images"/copy*
    fstrim "$images" # else the room would grow by each copy
    cp --sparse=always "$images/$1.$2" "$images/copy.$2"
    cp "$work/$1.offset" "$work/copy.offset"
    sync -f "$images"
}

timed ()                # WAY FORMAT - on the copy; a way is a function of ways.sh
{
    drop_cached
    "$measure" run ${mark:+--mark "$mark"} "$images" "$work/log" bash -ec "$1 '$images/copy.$2' $2"
}

memory_of ()            # WAY FORMAT
{
    "$measure" memory "$work/log" bash -ec "$1 '$images/copy.$2' $2"
}

check_result ()         # FILE FORMAT - a figure of a damaged image is none
{
    cp --sparse=always "$1" "$images/checked.$2"
    cp "$work/copy.offset" "$work/checked.offset"
    check_image checked "$2"
    rm "$images/checked.$2"
}
