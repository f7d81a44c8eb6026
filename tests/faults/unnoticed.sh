# libvirtd dies when QEMU has opened the overlay, or has redirected the disk, but before libvirt has noted it: its XML names the
# base, QEMU writes to the overlay. Or the other way round, at the pivot. Nothing of what the guest writes may be lost.
. "$(dirname "$0")/faults.sh"

make_image g qcow2 256 100 20 mbr
define_guest g "$(disk_xml vda "$images/g.qcow2")"

cat >"$work/snipe" <<'PY'
#!/usr/bin/env python3
"""snipe BASE MOMENT MARK - kill libvirtd when QEMU has opened the overlay ("opened"), does not write to BASE any more
("redirected"), does so again ("committing"), or does not write to the overlay any more ("forgotten"); MARK is made when that happened"""
import fcntl, os, signal, struct, sys, time
base, overlay = [os.open(sys.argv[1] + end, os.O_RDONLY) for end in ("", ".vmcompact-overlay")]
def written(fd):
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 101, 1, 0)
    return struct.unpack("hhqqi4x", fcntl.fcntl(fd, 36, lock))[0] != fcntl.F_UNLCK     # 36: F_OFD_GETLK
pid = int(open("/run/libvirtd.pid").read())
here = {"opened": lambda: written(overlay), "redirected": lambda: written(overlay) and not written(base),
        "committing": lambda: written(overlay) and written(base), "forgotten": lambda: written(base) and not written(overlay)}
open(sys.argv[3] + ".ready", "w").close()
until = time.monotonic() + 10
while time.monotonic() < until:
    if here[sys.argv[2]]():
        os.kill(pid, signal.SIGKILL)
        open(sys.argv[3], "w").close()
        break
time.sleep(0.3)
os.execvp("libvirtd", ["libvirtd", "-d"])
PY
chmod +x "$work/snipe"

unnoticed=0 lost_track=0 forgotten=0 orphans=0
for round in $(seq "${ROUNDS:-4}"); do
    moment=redirected point=redirect
    case $((round % 4)) in 0) moment=opened ;; 2) moment=forgotten point=pivot ;; 3) moment=committing point=commit ;; esac
    : >"$work/g.console"
    start_guest g
    guest g "mount /dev/vda1 /mnt"
    start_agent g
    start_writers g /mnt 1
    remember g
    rm -f "$work/fired" "$work/fired.ready"
    status=0
    VMC_FAULT_POINT=$point VMC_FAULT_ACTION="$work/snipe $images/g.qcow2 $moment $work/fired </dev/null >/dev/null 2>&1 & until [ -e $work/fired.ready ]; do sleep 0.05; done" \
        timeout 100 "$vmcompact" -v --method=commit g >"$work/out" 2>&1 || status=$?
    [ -e "$work/fired" ] || { cat "$work/out" >&2; fail "the fault did not fire"; }
    for try in $(seq 50); do virsh -q list >/dev/null 2>&1 && break; sleep 0.1; done
    say "round $round, $moment: exit status $status: $(tail -n 1 "$work/out")"
    grep -q "libvirt does not know of" "$work/out" && unnoticed=$((unnoticed + 1))
    guest g "echo round $round >/mnt/after && sync" || fail "the guest does not write"
    home_when_off=yes
    case $(cat "$work/out") in
        *"lost track"*) lost_track=$((lost_track + 1)); virsh -q destroy g ;;
        *"before it had noted that"*) forgotten=$((forgotten + 1)); virsh -q destroy g ;;
        *"libvirt says that the domain is off"*) # libvirt has lost it: nobody else can end it
            orphans=$((orphans + 1))
            kill -9 "$(cat /run/libvirt/qemu/g.pid)"
            sleep 0.3; forget_owners ;;
        *) home_when_off=no ;;
    esac
    [ $home_when_off = no ] || say "libvirt does not know what QEMU does: home when the guest is off"
    expect_status 0 "$vmcompact" --recover g
    [ "$(virsh domstate g)" = "shut off" ] || { check_same g; virsh -q destroy g; }
    virsh dumpxml --inactive g | diff "$work/g.inactive" - || fail "the inactive XML changed"
    [ -z "$(ls /var/lib/vmcompact "$images"/*overlay 2>/dev/null | grep -v :)" ] || fail "something is left"
    : >"$work/g.console"
    start_guest g
    guest g "mount /dev/vda1 /mnt && grep -q 'round $round' /mnt/after" || fail "a synced file of the guest is lost"
    check_files g /mnt
    stop_guest g
done
[ "$unnoticed" -gt 0 ] || fail "libvirt noted it each time: the case did not occur"
say "of $round times, libvirt had not noted it $unnoticed times, lost track of a job $lost_track times, forgotten the pivot $forgotten times, and lost the domain $orphans times"
check_image g qcow2
