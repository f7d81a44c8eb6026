# Ctrl-C and SIGTERM at the beginning of each step: the guest is thawed, the domain comes home, nothing is left over.
. "$(dirname "$0")/../bed/bed.sh"

make_image g qcow2 512 300 60 mbr
define_guest g "$(disk_xml vda "$images/g.qcow2")"
start_guest g
guest g "mount /dev/vda1 /mnt"
start_agent g
start_writers g /mnt 2
remember g

for signal in INT TERM; do
    steps=("freeze" "guard the base" "read the base" "map the image" "give space back")
    in_short && [ $signal = TERM ] && steps=("guard the base")
    for step in "${steps[@]}"; do
        say "SIG$signal at: $step"
        expect_status 1 "$bed/at-step" "$step" "kill -$signal \$PID" -- "$vmcompact" -v --method=commit g
        expect_text "$work/out" "# fired"
        expect_text "$work/err" "interrupted by signal"
        check_same g
        guest g "touch /mnt/alive && sync" || fail "the guest is frozen"
    done
done

say "SIGINT during the commit: too late to stop, the work is done"
expect_status 0 "$bed/at-step" ": commit" "kill -INT \$PID" -- "$vmcompact" -v --method=commit g
check_same g

say "--timeout: the run gives way"
expect_status 1 "$vmcompact" --method=commit --timeout=0.02 g
check_same g
guest g "touch /mnt/alive && sync" || fail "the guest is frozen"

check_writers g /mnt
check_files g /mnt
stop_guest g
check_image g qcow2
