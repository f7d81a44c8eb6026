# QEMU or libvirtd stands still in the middle of a run: a call that does not return ends the run, with a sentence; the guest is
# brought home when they go on. And the agent's end of the channel that nobody answers.
. "$(dirname "$0")/faults.sh"

new_guest
run="$vmcompact --method=commit g"
qemu='$(cat /run/libvirt/qemu/g.pid)'

for point in redirect commit pivot $(in_long guarded committing); do
    export VMC_FAULT_CALL_S=3
    while_at $point "kill -STOP $qemu" 5 "libvirt does not return from a call; when it answers again, run vmcompact --recover"
    unset VMC_FAULT_CALL_S
    sleep 1
    kill -CONT "$(cat /run/libvirt/qemu/g.pid)"
    check_writing 7
    recover 0
    check_home; check_data
done

say "nothing was changed when it happens before the first step"
kill -STOP "$(cat /run/libvirt/qemu/g.pid)"
expect_status 1 env VMC_FAULT_CALL_S=3 $run
expect_text "$work/err" "nothing to recover"
kill -CONT "$(cat /run/libvirt/qemu/g.pid)"
sleep 1
check_home

# (POINTS="thawed committing pivot" tries all; each takes 40 s)
say "libvirtd stands still for longer than it may: it counts as gone, and the run waits for it"
for point in ${POINTS:-pivot}; do
    say "at $point"
    at $point "kill -STOP \$(cat /run/libvirtd.pid); (sleep 35; kill -CONT \$(cat /run/libvirtd.pid)) </dev/null >/dev/null 2>&1 &" $run
    expect_end $([ $point = thawed ] && echo 1 || echo 0)
    check_home; check_data
done
