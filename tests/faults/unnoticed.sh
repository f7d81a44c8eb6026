# libvirtd dies when QEMU has redirected the disk, but before libvirt has noted it: its XML names the base, QEMU writes to the
# overlay. (And the same at the start of a commit.) Nothing of what the guest writes may be lost.
. "$(dirname "$0")/../bed/bed.sh"

vmcompact=$top_builddir/tests/faults/vmcompact
make_image g qcow2 256 100 20 mbr
define_guest g "$(disk_xml vda "$images/g.qcow2")"

cat >"$work/snipe" <<'PY'
#!/usr/bin/env python3
"""snipe OVERLAY MARK - kill libvirtd as soon as a QEMU holds OVERLAY for writing; MARK is made when that happened"""
import fcntl, os, signal, struct, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
pid = int(open("/run/libvirtd.pid").read())
until = time.monotonic() + 10
while time.monotonic() < until:
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 101, 1, 0)
    if struct.unpack("hhqqi4x", fcntl.fcntl(fd, 36, lock))[0] != fcntl.F_UNLCK:     # 36: F_OFD_GETLK
        os.kill(pid, signal.SIGKILL)
        open(sys.argv[2], "w").close()
        break
time.sleep(0.3)
os.execvp("libvirtd", ["libvirtd", "-d"])
PY
chmod +x "$work/snipe"

unnoticed=0
for round in $(seq "${ROUNDS:-5}"); do
    : >"$work/g.console"
    start_guest g
    guest g "mount /dev/vda1 /mnt"
    start_agent g
    start_writers g /mnt 1
    remember g
    rm -f "$work/fired"
    status=0
    VMC_FAULT_POINT=redirect VMC_FAULT_ACTION="$work/snipe $images/g.qcow2.vmcompact-overlay $work/fired </dev/null >/dev/null 2>&1 & sleep 0.3" \
        timeout 100 "$vmcompact" -v --method=commit g >"$work/out" 2>&1 || status=$?
    [ -e "$work/fired" ] || fail "the fault did not fire"
    for try in $(seq 50); do virsh -q list >/dev/null 2>&1 && break; sleep 0.1; done
    say "round $round: exit status $status: $(tail -n 1 "$work/out")"
    grep -q "libvirt has not noted it" "$work/out" && unnoticed=$((unnoticed + 1))
    guest g "echo round $round >/mnt/after && sync" || fail "the guest does not write"
    expect_status 0 "$vmcompact" --recover g
    check_same g
    [ -z "$(ls /var/lib/vmcompact)" ] || fail "a journal is left"
    virsh -q destroy g
    : >"$work/g.console"
    start_guest g
    guest g "mount /dev/vda1 /mnt && grep -q 'round $round' /mnt/after" || fail "a synced file of the guest is lost"
    check_files g /mnt
    stop_guest g
done
[ "$unnoticed" -gt 0 ] || fail "libvirt noted it each time: the case did not occur"
say "$unnoticed of $round times libvirt had not noted it"
check_image g qcow2
