# A night of three guests in which one hangs, then one in which the night itself, or one of its runs, is killed.
. "$(dirname "$0")/faults.sh"

guests="g h i"
writers=0
for name in $guests; do
    make_image $name qcow2 $size $dirty $files disk
    define_guest $name "$(disk_xml vda "$images/$name.qcow2")"
    start_guest $name
    guest $name "mount -o noinit_itable /dev/vda /mnt"
    start_agent $name
done
for name in $guests; do remember $name; done
full=$(allocated "$images/g.qcow2")
night="$vmcompact --all -v --min-reclaim=1M"

no_run () { ! pgrep -f -- '--config=/dev/null' >/dev/null; }
others_are_done () { local name; for name in g i; do [ $((full - $(allocated "$images/$name.qcow2"))) -gt $(((dirty - files) << 19)) ] || fail "$name was not compacted"; done; }
all_home () { local name; for name in $guests; do check_same $name; check_files $name /mnt; done; check_nothing_left; }
waste_again () { local name; for name in $guests; do guest $name "dd if=/dev/zero of=/mnt/waste bs=1M count=$1 conv=fsync 2>/dev/null; rm /mnt/waste; sync" >/dev/null; done; }

say "QEMU of one guest stands still: the others are done, and it is told"
kill -STOP "$(cat /run/libvirt/qemu/h.pid)"
expect_status 1 env VMC_FAULT_CALL_S=3 $night
expect_text "$work/err" "^vmcompact: h: libvirt does not return from a call; there is nothing to recover$"
kill -CONT "$(cat /run/libvirt/qemu/h.pid)"
others_are_done
[ "$(cat /var/lib/vmcompact/history/*.json | grep -c '"result":"done"')" = 2 ] || fail "the history has not two that went well"
sleep 1
all_home

for point in committing $(in_long thawed); do
    say "the night is killed while a run is at '$point': that gives way and brings its domain home"
    waste_again 30
    at $point 'kill -9 $(ps -o ppid= $pid)' $night
    [ "$status" -ge 128 ] || fail "the night was not killed: exit status $status"
    wait_until 20 no_run || fail "a run goes on"
    all_home
done

say "one run is killed: the night goes on, and the next one brings the domain home"
waste_again 30
at redirected '[ -e $work/once ] || { touch $work/once; kill -9 $pid; }' $night
expect_end 5 "its run ended with signal 9; run vmcompact --recover"
others=$(grep -c 'give space back' "$work/err")
[ "$others" = 2 ] || { cat "$work/err" >&2; fail "not two others were compacted"; }
expect_status 0 $night
all_home
say "a domain that is away from home is brought home, although the time for its run comes later"
for name in $guests; do
    virsh -q metadata $name --uri urn:vmcompact:domain:1 --key vmcompact --live --config \
        --set "<nightly from='$(date -d '+3 hours' +%H:%M)' until='$(date -d '+4 hours' +%H:%M)'/>" >/dev/null
    remember $name
done
waste_again 30
at redirected 'kill -9 $pid' "$vmcompact" --method=commit h
expect_status 0 timeout 60 $night --until="$(date -d '+2 hours' +%H:%M)"
grep -q "1 done, 0 failed, 2 left for another time" "$work/out" || { cat "$work/out" >&2; fail "another summary"; }
! grep -q 'give space back' "$work/err" || fail "a run was begun"
all_home

say "one that is left out, by whatever, is only brought home"
home_only ()            # OPTION... - "h" comes home, and nothing is done about it or anybody else
{
    expect_status 0 timeout 60 $night "$@"
    grep -q "1 done, 0 failed, .* 0 not begun" "$work/out" || { cat "$work/out" >&2; fail "another summary"; }
    ! grep -q 'give space back' "$work/err" || fail "a run was begun"
}
strand () { at redirected 'kill -9 $pid' "$vmcompact" --method=commit h; }

strand
expect_status 0 "$vmcompact" --all --dry-run --exclude='*'
[ -n "$(ls $state/*.journal)" ] || fail "a dry run has brought it home"
home_only --exclude='*'
all_home
virsh -q metadata h --uri urn:vmcompact:domain:1 --key vmcompact --live --config --set "<nightly skip='yes'/>" >/dev/null
remember h
strand
home_only --exclude=g --exclude=i
all_home
strand
virsh -q destroy h
home_only --exclude=g --exclude=i
check_nothing_left
virsh dumpxml --inactive h | diff "$work/h.inactive" - || fail "it is not home"


say "it cannot be brought home, because it was undefined: that is told"
start_h () { start_guest h; guest h "mount -o noinit_itable /dev/vda /mnt"; start_agent h; }
start_h
strand
virsh dumpxml --inactive h >"$work/away.xml"
virsh -q destroy h; virsh -q undefine h
expect_status 5 timeout 60 $night --exclude='*'
expect_text "$work/err" "^vmcompact: h: the domain is no longer known here"
virsh -q define "$work/away.xml"
start_h

say "a run is at work on it: that is left alone"
at punch "timeout 60 $night --exclude='*' >\$work/second 2>&1; grep -q '^0 domains' \$work/second" "$vmcompact" --method=commit h
expect_end 0
for name in $guests; do stop_guest $name; check_image $name qcow2; done
