# faults.sh - what the fault tests share: a guest that is written to, a run with a fault, and the checks after it (sourced)
#
# A fault is a line of shell that runs at a fault point of vmcompact (host/fault.h). One that did not run, or failed, fails
# the test: "at" looks whether it came to its end.
. "$(dirname "${BASH_SOURCE[0]}")/../bed/bed.sh"

vmcompact=$top_builddir/tests/faults/vmcompact
state=/var/lib/vmcompact
size=160 dirty=60 files=8       # MiB, of the guest's disk
mounts="mount /dev/vda1 /mnt"   # in the guest
writers=2

# --- a run with a fault -----------------------------------------------------------------------------------------

# try_at POINT LINE COMMAND... - run COMMAND; LINE is done by bash at POINT, with $pid set, and if it ends well, $work/fired is
# made. Sets $status, keeps out and err.
try_at ()
{
    local point=$1 line=$2; shift 2
    rm -f "$work/fired"
    printf 'set -eu; unset VMC_FAULT_POINT\npid=$1 work=%s images=%s\n%s\n' "$work" "$images" "$line" >"$work/action"
    status=0
    { VMC_FAULT_POINT=$point VMC_FAULT_ACTION="bash $work/action \$PID >$work/action.log 2>&1 && touch $work/fired" \
        timeout "${at_most_s:-120}" "$@" >"$work/out" 2>"$work/err"; } 2>/dev/null || status=$?
}

# at POINT LINE COMMAND... - the same, and it is certain that LINE was done
at ()
{
    try_at "$@"
    wait_until 3 test -e "$work/fired" || { cat "$work/action.log" "$work/err" >&2; fail "nothing was done at '$1'"; }
}

# while_at POINT LINE STATUS [TEXT] - $run, during which somebody does LINE: its exit status, and one sentence
while_at ()
{
    say "at $1: $2"
    at "$1" "$2" $run
    expect_end "$3" "${4:-}"
    [ "$3" = 0 ] || [ "$(wc -l <"$work/err")" = 1 ] || { cat "$work/err" >&2; fail "not one sentence"; }
}

expect_end ()           # STATUS [TEXT] - of the run before
{
    [ "$status" = "$1" ] || { sed 's/^/  out: /' "$work/out" >&2; sed 's/^/  err: /' "$work/err" >&2; fail "exit status $status, not $1"; }
    [ -z "${2:-}" ] || expect_text "$work/err" "$2"
}

wait_until ()           # SECONDS COMMAND... - until it succeeds
{
    local until=$((SECONDS + $1)); shift
    until "$@"; do [ $SECONDS -lt $until ] || return 1; sleep 0.1; done
}

fill_with ()            # FILE - until its filesystem is full
{
    fallocate -l "$(df --output=avail -B1 "$(dirname "$1")" | tail -n 1)" "$1" 2>/dev/null || true
    cat /dev/zero >>"$1" 2>/dev/null || true
}

forget_owners ()        # libvirt's notes of who owned a file do not count after a boot: they carry its time
{
    find "$work" -maxdepth 2 \( -type f -o -type p \) -print0 | xargs -0 python3 -c 'import os, sys
for path in sys.argv[1:]:
    for name in os.listxattr(path):
        name.startswith("trusted.libvirt") and os.removexattr(path, name)'
}

# --- the guest --------------------------------------------------------------------------------------------------

new_guest ()            # [FORMAT] [EXTRA_DEVICE_XML...] - define and start "g", with an agent and its writers
{
    local format=${1:-qcow2}; [ $# = 0 ] || shift
    make_image g "$format" "$size" "$dirty" "$files" mbr
    define_guest g "$(disk_xml vda "$images/g.$format")" "$@"
    up_guest
}

up_guest ()             # boot it and remember all
{
    boot_guest
    waste
    remember g
}

start_agents () { start_agent g; }

boot_guest ()           # what was synced before it went off must be there
{
    note_synced
    : >"$work/g.console"
    start_guest g
    guest g "$mounts" || fail "mount"
    check_synced
    start_agents
    [ $writers = 0 ] || start_writers g /mnt $writers
}

note_synced ()          # what the writers have said so far; a new boot makes the console empty
{
    [ -e "$work/g.console" ] || return 0
    sed -n 's/^.*synced \(w[0-9]*\) \([0-9]*\).*$/\1 \2/p' "$work/g.console" | sort -k1,1 -k2,2n |
        awk '{ last[$1] = $2 } END { for (name in last) print name, last[name] }' >"$work/synced"
    awk '$2 >= 16' "$work/synced" >>"$work/synced.enough" # each slot was written more than once
}

check_synced ()         # every file that was said to be synced is there, or a younger one in its slot
{
    local name last
    [ -e "$work/synced" ] || return 0
    while read -r name last; do
        [ "$last" -lt 16 ] || guest g "ls /mnt/$name | awk -F . -v last=$last '\$2 > newest[\$1] { newest[\$1] = \$2 } END { for (slot = 0; slot < 16; slot++) if (newest[slot] + 16 <= last) { print \"slot\", slot, \"has\", newest[slot], \"synced was\", last; exit 1 } }'" ||
            fail "a synced file of $name is lost"
    done <"$work/synced"
    checked_synced=$(( ${checked_synced:-0} + $(wc -l <"$work/synced") ))
}

wasting="dd if=/dev/zero of=/mnt/waste bs=64k count=64 conv=fsync 2>/dev/null && rm /mnt/waste"
waste ()                # something to give back, each time
{
    guest g "$wasting" >/dev/null || fail "the guest does not write"
}

# --- afterwards -------------------------------------------------------------------------------------------------

check_nothing_left ()   # of vmcompact: no journal, no process
{
    local left
    left=$(find $state -maxdepth 1 -type f -size +0) && [ -z "$left" ] || fail "left: $left"
    wait_until 5 no_process || { pgrep -af "$own_processes" >&2; fail "a process is left"; }
}

own_processes='keeper-child|qemu-agent-child|vmcompact.*[.]nbd|reader-child'
no_process () { ! pgrep -f "$own_processes" >/dev/null; }

check_writing ()        # the guest is neither frozen nor paused
{
    guest_timeout=${1:-20} guest g "echo alive >/mnt/alive && sync" >/dev/null || fail "the guest does not write"
}

check_home ()           # the domain is as it was, nothing is left, the guest writes
{
    check_writing
    check_same g
    check_nothing_left
}

check_data ()           # the files from the start, and every file of the writers that has its name
{
    check_files g /mnt
    guest g "writer --check /mnt/w*/*.*" ||
        fail "a file of a writer is damaged"
}

recover ()              # STATUS [TEXT]
{
    expect_status "$1" timeout 120 "$vmcompact" --recover
    [ -z "${2:-}" ] || expect_text "$work/err" "$2"
}

end_guest ()            # [FORMAT] - all files once more, then the image itself; and it is gone
{
    check_writers g /mnt
    check_files g /mnt
    stop_guest g
    check_image g "${1:-qcow2}"
    virsh -q undefine g
    rm -f "$images/g.${1:-qcow2}" "$work/synced" "$work/g.console"
}
