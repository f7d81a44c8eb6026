# A guest that sends rubbish, floods, lies about its filesystems or its freeze, or dies: nothing is lost, nothing stays
# frozen, the domain is as it was.
. "$(dirname "$0")/../bed/bed.sh"

make_image g qcow2 256 150 20 mbr
define_guest g "$(disk_xml vda "$images/g.qcow2")"
start_guest g
guest g "mount /dev/vda1 /mnt"
start_writers g /mnt 2
remember g

lie ()                  # MODE STATUS TEXT [OPTION...]
{
    local mode=$1 status=$2 text=$3; shift 3
    say "$mode"
    start_agent g "/bin/liar $mode /mnt"
    expect_status "$status" timeout 60 "$vmcompact" --method=commit "$@" g
    [ -z "$text" ] || expect_text "$work/err" "$text"
    guest g "killall liar vmcompact-agent 2>/dev/null; sleep 0.3; cat /tmp/agent.log" || true
    check_same g
    guest g "touch /mnt/alive && sync" || fail "the guest is frozen"
}

lie silent 3 "nothing answers"
lie garbage 3 "nothing answers"
lie flood 3 "" # by number or by time, whichever ends first
lie overlong 3 ""
lie fake-freeze 3 "needs recovery"
lie broken 1 "did not hold"
lie wrong-offset 3 "nothing in the base can be trusted"
lie beyond 1 "beyond the disk"
lie endless-map 1 "no end"
lie die 1 "thaws by itself"
lie hang 1 "thaws by itself" --freeze-timeout=2
began=$SECONDS
lie no-freeze 1 "the time given with --timeout is over" --timeout=0.1 # minutes
[ $((SECONDS - began)) -lt 30 ] || fail "it waited for the freeze for longer than --timeout allows"

say "all-free: the reader knows better"
lie all-free 0 ""

check_writers g /mnt
check_files g /mnt
stop_guest g
check_image g qcow2
