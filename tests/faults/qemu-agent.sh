# A guest that is frozen by qemu-guest-agent, which keeps no deadline itself, goes on whatever dies, hangs or is in the way; a freeze
# that was broken frees nothing; and what somebody else has frozen stays frozen.
. "$(dirname "$0")/faults.sh"

guest_programs=$qemu_agent_program more_channel=$qemu_agent_channel
start_agents () { start_qemu_agent g; }
size=120 dirty=120 writers=1
new_guest
run="$vmcompact --method=commit g"
image=$images/g.qcow2
in_guest="$bed/guest-exec $work/g.shell 20"
keeper='$(pgrep -f keeper-child)'

home_again ()           # [STATUS] - of --recover
{
    recover "${1:-0}"
    check_home
}

is_frozen ()            # a write does not return
{
    guest g "rm -f /tmp/written; (echo x >/mnt/probe; echo x >/tmp/written) & sleep 0.7; [ ! -e /tmp/written ]"
}

nothing_freed ()        # since $taken was set; it may be more, for the guest writes, and a block less of the host's own notes
{
    [ "$(allocated "$image")" -ge $((taken - 65536)) ] || fail "blocks were freed: $taken, now $(allocated "$image")"
}
taken=$(allocated "$image")

# --- something dies -----------------------------------------------------------------------------------------------------

for point in freezing frozen $(in_long thawed); do
    say "at $point: the run is killed; the keeper thaws"
    at $point "kill -9 \$pid" $run
    check_writing 7
    home_again
done
nothing_freed

say "run and keeper are killed: --recover thaws"
at redirected "kill -9 $keeper \$pid" $run
is_frozen || fail "it is not frozen, so this proves nothing"
grep -q '"frozen":"[0-9]' $state/*.journal || fail "the journal has no mark"
home_again

say "run and keeper are killed, and then the guest: the next one is not taken for frozen"
at frozen "kill -9 $keeper \$pid" $run
virsh -q destroy g
: >"$work/g.console"; start_guest g
guest g "$mounts && fsfreeze --freeze /mnt" # by somebody who wants it so
expect_status 0 timeout 60 "$vmcompact" --recover
guest g "fsfreeze --unfreeze /mnt" || fail "somebody's freeze was ended"
start_agents
start_writers g /mnt $writers
home_again

while_at frozen "kill -9 $keeper" 1 "the process that held the freeze has died; the guest is thawed"
check_home
nothing_freed

libvirtd='kill -9 $(cat /run/libvirtd.pid); (sleep 0.3; exec libvirtd -d) </dev/null >/dev/null 2>&1 &'
while_at frozen "$libvirtd" 1
check_home
say "at frozen: the run and libvirtd are killed"
at frozen "kill -9 \$pid; $libvirtd" $run
wait_until 5 virsh -q list >/dev/null || fail "libvirtd does not come back"
check_writing 7
home_again
nothing_freed

# --- the agent hangs ------------------------------------------------------------------------------------------------------

export VMC_FAULT_ANSWER_MS=3000 VMC_FAULT_THAW_MS=2000
run="$vmcompact --method=commit --freeze-timeout=1 g"
for point in frozen $(in_long freezing); do
    while_at $point "$in_guest 'killall -STOP qemu-ga'" 5 "the guest may be frozen, and qemu-guest-agent does not answer"
    guest g "killall -CONT qemu-ga"
    wait_until 5 no_process || fail "the keeper still waits"
    check_writing 3
    home_again
done
say "the agent hangs, and libvirtd dies over it: the freeze is yet to come, and nobody knows"
at freezing "$in_guest 'killall -STOP qemu-ga'; (sleep 1; $libvirtd) </dev/null >/dev/null 2>&1 &" $run
expect_end 5 "the guest may be frozen, and qemu-guest-agent does not answer"
guest g "killall -CONT qemu-ga"
wait_until 10 no_process || fail "the keeper still waits"
check_writing 3
home_again
guest g "killall -STOP qemu-ga"
expect_status 3 $run
expect_text "$work/err" "qemu-guest-agent does not answer"
guest g "killall -CONT qemu-ga"
unset VMC_FAULT_ANSWER_MS VMC_FAULT_THAW_MS
nothing_freed

# --- the time is over -----------------------------------------------------------------------------------------------------

run="$vmcompact --method=commit --freeze-timeout=0.5 g"
while_at frozen "sleep 1; $in_guest 'echo x >/mnt/late; sync'" 1 "took longer than 500 ms, so the guest was thawed"
check_home
run="$vmcompact --method=commit g"
nothing_freed

# --- somebody is in the way -----------------------------------------------------------------------------------------------

while_at redirected "$in_guest 'fsfreeze --unfreeze /mnt'" 1 "did not hold: of 1 frozen filesystems, only 0"
check_home
say "broken before the overlay is there, and frozen again: the count is right, but the guest has written"
refreeze="case \$POINT in frozen) $in_guest 'fsfreeze --unfreeze /mnt';; *) $in_guest 'fsfreeze --freeze /mnt';; esac"
while_at frozen,redirected "$refreeze" 1 "the guest wrote to the disk while its filesystems were frozen"
check_home
nothing_freed

while_at freezing "virsh domfsfreeze g" 6 "somebody else has frozen the guest"
is_frozen || fail "somebody's freeze was ended"
virsh domfsthaw g | grep -q "Thawed 1" || fail "somebody's freeze was ended"
check_home
while_at freezing "$in_guest 'fsfreeze --freeze /mnt'" 6 "found nothing to freeze"
guest g "fsfreeze --unfreeze /mnt" || fail "somebody's freeze was ended"
check_home
nothing_freed; check_data

# --- and after all that -----------------------------------------------------------------------------------------------------

expect_status 0 $run
[ "$(allocated "$image")" -lt $((taken - 20 * 1048576)) ] || fail "a run in peace brought nothing back"
check_home
end_guest
