# faults.sh - what the fault tests share: a guest that is written to, a run with a fault, and the checks after it (sourced)
#
# A fault is a line of shell that runs at a fault point of vmcompact (host/fault.h). One that did not run, or failed, fails
# the test: "at" looks whether it came to its end.
. "$(dirname "${BASH_SOURCE[0]}")/../bed/bed.sh"

vmcompact=$top_builddir/tests/faults/vmcompact
state=/var/lib/vmcompact
size=160 dirty=60 files=8       # MiB, of the guest's disk

# --- a run with a fault -----------------------------------------------------------------------------------------

# at POINT LINE COMMAND... - run COMMAND; LINE is done by bash at POINT, with $pid set. Sets $status, keeps out and err.
at ()
{
    local point=$1 line=$2; shift 2
    rm -f "$work/fired"
    printf 'set -eu\npid=$1 work=%s images=%s\n%s\n' "$work" "$images" "$line" >"$work/action"
    status=0
    { VMC_FAULT_POINT=$point VMC_FAULT_ACTION="bash $work/action \$PID >$work/action.log 2>&1 && touch $work/fired" \
        timeout 120 "$@" >"$work/out" 2>"$work/err"; } 2>/dev/null || status=$?
    [ -e "$work/fired" ] || { cat "$work/action.log" "$work/err" >&2; fail "nothing was done at '$point'"; }
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

# --- the guest --------------------------------------------------------------------------------------------------

new_guest ()            # [FORMAT] [EXTRA_DISK_XML...] - define and start "g", with an agent and two writers
{
    local format=${1:-qcow2}; [ $# = 0 ] || shift
    make_image g "$format" "$size" "$dirty" "$files" mbr
    define_guest g "$(disk_xml vda "$images/g.$format")" "$@"
    up_guest
}

up_guest ()             # boot it and remember all
{
    : >"$work/g.console"
    start_guest g
    guest g "mount /dev/vda1 /mnt" || fail "mount"
    start_agent g
    start_writers g /mnt 2
    waste
    remember g
}

waste ()                # something to give back, each time
{
    guest g "dd if=/dev/urandom of=/mnt/waste bs=64k count=64 conv=fsync 2>/dev/null; rm /mnt/waste" >/dev/null
}

# --- afterwards -------------------------------------------------------------------------------------------------

check_nothing_left ()   # of vmcompact: no journal, no process
{
    local left
    left=$(find $state -type f -size +0) && [ -z "$left" ] || fail "left: $left"
    wait_until 5 no_process || { pgrep -af "$own_processes" >&2; fail "a process is left"; }
}

own_processes='keeper-child|vmcompact.*[.]nbd|reader-child'
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
    guest g "for file in /mnt/w*/*.*; do [ -e \$file ] || continue; sum=\$(md5sum <\$file) 2>/dev/null; [ -e \$file ] || continue; [ \${file##*.} = \${sum%% *} ] || { echo damaged: \$file; exit 1; }; done" ||
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
    rm "$images/g.${1:-qcow2}"
}
