# Two at once: runs on one domain, a run and a recovery, two domains on one file; and a run that stands still at the wrong moment:
# the guest goes on without it, and when the run goes on, it notices.
#
#   STAND_S   for how many seconds (default 5)
. "$(dirname "$0")/faults.sh"

new_guest
run="$vmcompact --method=commit g"

say "a second run is busy at once, a second recovery after its time, and nothing is changed by them"
at guarded "timeout 20 $run >\$work/second 2>&1 && exit 1 || [ \$? = 6 ]; grep -q 'another vmcompact' \$work/second
            timeout 20 $vmcompact --recover --lock-wait=1 g >\$work/third 2>&1 && exit 1 || [ \$? = 6 ]
            timeout 20 $vmcompact --recover --lock-wait=1 >\$work/third 2>&1 && exit 1 || [ \$? = 6 ]" $run
expect_end 0
check_home

second ()               # POINT WHAT COMMAND - beside a run, from POINT on; both end well
{
    say "$2"
    rm -f "$work/second.status"
    at "$1" "(status=0; timeout 100 $3 >\$work/second 2>&1 || status=\$?; echo \$status >\$work/second.status) & sleep 1; [ ! -e \$work/second.status ]" $run
    expect_end 0
    wait_until 60 test -s "$work/second.status" || fail "the second does not end"
    [ "$(cat "$work/second.status")" = 0 ] || { cat "$work/second" >&2; fail "the second ended with $(cat "$work/second.status")"; }
    check_home
}
second guarded "the second run waits its turn" "$run --lock-wait=60"
second committing "a recovery waits for the run, and finds nothing to do" "$vmcompact --recover --lock-wait=60 g"
check_data

say "killed, and then two recoveries at once"
at punch "touch $work/fired; kill -9 \$pid" $run
for n in 1 2; do (status=0; timeout 100 "$vmcompact" --recover >"$work/twin$n" 2>&1 || status=$?; echo $status >"$work/twin$n.status") & done
wait
[ "$(cat "$work/twin1.status" "$work/twin2.status" | tr -d '\n')" = 00 ] || { cat "$work"/twin[12]* >&2; fail "one of the recoveries failed"; }
check_home; check_data

# --- two names of one file ----------------------------------------------------------------------------------------

define_twin ()          # [-s] - a domain "twin" that has the file of g by another name
{
    ln "$@" "$images/g.qcow2" "$images/twin.qcow2"
    sed "s,$images/g.qcow2,$images/twin.qcow2,; s,<name>g<,<name>twin<,; s,$work/g[.],$work/twin.,g" "$work/g.define.xml" >"$work/twin.xml"
    virsh -q define "$work/twin.xml"
}

refused ()              # DOMAIN OTHER - and nothing is changed
{
    remember "$1"
    expect_status 3 timeout 60 "$vmcompact" --method=commit "$1"
    expect_text "$work/err" "'$2' uses the same file"
    check_same "$1"
    check_nothing_left
}

for link in -s -f; do
    say "another domain has the same file by another name: ln $link"
    define_twin $link
    refused g twin
    virsh -q undefine twin; rm "$images/twin.qcow2"
done
note_synced
stop_guest g
for link in -s -f; do
    say "the same, and it is the other one that runs: ln $link"
    define_twin $link
    : >"$work/twin.console"; start_guest twin
    guest twin "mount /dev/vda1 /mnt"; start_agent twin
    refused twin g
    stop_guest twin
    virsh -q undefine twin; rm "$images/twin.qcow2"
done
up_guest
check_home

# --- a run that stands still ----------------------------------------------------------------------------------------

# It is stopped at POINT for STAND_S seconds; meanwhile the guest must write again after the deadline and a second.
freeze_s=2
stopped_at ()           # POINT STATUS...
{
    local point=$1 began; shift
    say "stopped at: $point"
    rm -f "$work/fired"
    VMC_FAULT_POINT=$point VMC_FAULT_ACTION="touch $work/fired; kill -STOP \$PID" \
        timeout 120 "$vmcompact" --method=commit --freeze-timeout=$freeze_s g >"$work/out" 2>"$work/err" &
    wait_until 60 test -e "$work/fired" || fail "it was not stopped"
    pid=$(pgrep -P $! -x vmcompact)
    wait_until 5 grep -q '^State:.*T' "/proc/$pid/status" || fail "it does not stand still"
    began=$(date +%s%3N)
    check_writing
    took=$(( $(date +%s%3N) - began ))
    [ $took -le $(( (freeze_s + 1) * 1000 )) ] || fail "the guest did not write for $took ms"
    say "the guest wrote after $took ms"
    sleep "$((${STAND_S:-5} - took / 1000))"
    grep -q '^State:.*T' "/proc/$pid/status" || fail "it does not stand still any more"
    kill -CONT "$pid"
    status=0; wait $! || status=$?
    case " $* " in *" $status "*) ;; *) cat "$work/err" >&2; fail "exit status $status" ;; esac
    check_home; check_data
}
stopped_at frozen 1
expect_text "$work/err" "did not hold"
stopped_at redirected 1
expect_text "$work/err" "did not hold"
stopped_at paused 0 1
stopped_at pivot 0 1

end_guest
