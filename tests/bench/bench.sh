#!/bin/bash
# bench.sh - "make bench": what vmcompact takes and costs, beside the other ways and beside what cannot be gone below
#
# Everything is measured in this one run, on images that it builds. It ends with RESULTS (tables of medians, the claims, the machine)
# and pictures in BENCH_OUT. Only what does not work fails; no figure does.
#
#   BENCH_ROUNDS  how often each is measured (5)
#   BENCH_SLOW_ROUNDS  those that take minutes: zero-fill, virt-sparsify copying (as often)
#   BENCH_CASES   rest, live, held, growth: see the files of those names (held is in live.sh)
#   BENCH_OUT     where the results go (tests/bench/results in the build directory)
. "$(dirname "$0")/../bed/bed.sh"
for part in room ways rest live growth; do . "$(dirname "$0")/$part.sh"; done
faulty=$top_builddir/tests/faults/vmcompact
out=${BENCH_OUT:-$top_builddir/tests/bench/results}
mkdir -p "$out"

version_of () { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo none; }     # PACKAGE

describe_machine ()
{
    note machine date "$(date -u +%F)"
    note machine processor "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) of them"
    note machine memory "$(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
    note machine kernel "$(uname -r)"
    note machine images "ext4 on a loop device, direct I/O, over $(df --output=fstype "$work" | tail -n 1)"
    note machine guest "Linux $(basename "$(printf '%s\n' "$("$bed/get-kernel")"/boot/vmlinuz-* | sort -V | tail -n 1)" | sed 's/vmlinuz-//'), 1 processor, under emulation (TCG)"
    note machine QEMU "$(version_of qemu-system-x86)"
    note machine libvirt "$(version_of libvirt-daemon)"
    note machine e2fsprogs "$(version_of e2fsprogs)"
    note machine libguestfs "$(version_of guestfs-tools)"
    note machine zerofree "$(version_of zerofree)"
}

make_room
describe_machine
for case in ${BENCH_CASES:-rest live held growth}; do
    case $case in
        rest) rest_case qcow2 8192; rest_case raw 2048 ;;
        *) "${case}_case" ;;
    esac
done
[ "$results" -ef "$out/results.tsv" ] || cp "$results" "$out/results.tsv"
"$here/report" "$results" >"$out/RESULTS"
"$here/plot" "$results" "$out"
cat "$out/RESULTS"
