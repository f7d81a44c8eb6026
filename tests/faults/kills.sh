# Kills vmcompact, QEMU and libvirtd at every point of a run, and at any moment; then: is all as it was, and nothing lost?
#
#   ROUNDS  how often each victim dies at each point                  KILLS   how many die at a random moment (default 4, in the short form 1)
#   SEED    of the random moments (default 1)                         POINTS, VICTIMS, METHODS  only these
#
# Without ROUNDS, the short form: vmcompact dies once at most points, two of the others once at the points where it matters most.
#
# After each fault: the guest (booted anew if it died) writes within the freeze's deadline and a second; vmcompact --recover
# ends well; XML and folder are as before, no journal, no process is left; the files from before, and every file of the writers
# that was synced, read back; e2fsck finds nothing. Ends with a table, and with 1 if a fault did not fire or left a trace.
. "$(dirname "$0")/faults.sh"
boots_often=yes

freeze_s=5
RANDOM=${SEED:-1}
: >"$work/rounds"

libvirtd_again ()       # VICTIM - wait for it, if it was away
{
    local try
    [ -e "$work/no-libvirtd" ] || return 0
    [ "$1" != host ] || forget_owners
    for try in $(seq 50); do
        virsh -q list >/dev/null 2>&1 && { rm "$work/no-libvirtd"; return 0; }
        sleep 0.2
    done
    fail "libvirtd does not come back"
}

cat >"$work/kill" <<'SH'
#!/bin/bash
# kill VICTIM PID WORK - kill -9, as a fault's action; libvirtd is started again a moment later, as its service would
case $1 in
    vmcompact) [ "$2" = 0 ] || { touch "$3/fired"; kill -9 "$2"; } ;;
    qemu) kill -9 "$(cat /run/libvirt/qemu/g.pid)" && touch "$3/fired" ;;
    libvirtd)
        touch "$3/no-libvirtd"
        kill -9 "$(cat /run/libvirtd.pid)" && touch "$3/fired"
        (sleep 0.3; exec libvirtd -d) </dev/null >/dev/null 2>&1 &
        ;;
    host)   # all at once, as when the power fails; what the guest had in its memory is gone
        touch "$3/no-libvirtd"
        kill -9 "$(cat /run/libvirtd.pid)"
        kill -9 "$(cat /run/libvirt/qemu/g.pid)" && touch "$3/fired"
        [ "$2" = 0 ] || kill -9 "$2"
        rm -rf /run/libvirt/qemu/*
        (sleep 0.3; exec libvirtd -d) </dev/null >/dev/null 2>&1 &
        ;;
esac
SH
chmod +x "$work/kill"

# --- the guest --------------------------------------------------------------------------------------------------

up ()                   # it runs, with agent and writers, and there is something to give back
{
    [ "$(virsh domstate g)" = running ] || boot_guest
    guest g "pidof vmcompact-agent && [ \$(pidof writer | wc -w) -ge 2 ] && $wasting" >/dev/null || {
        guest g "pidof vmcompact-agent" >/dev/null || start_agent g
        guest g "[ \$(pidof writer | wc -w) -ge 2 ]" || start_writers g /mnt 2
        waste
    }
    remember g
}

check_filesystem ()     # of the running guest: the image as it is while the guest's filesystem is frozen
{
    local sound=0
    guest g "fsfreeze --freeze /mnt" || fail "freeze" # QEMU has written all of its tables then
    qemu-img convert -U -f "$format" -O raw "$images/g.$format" "$work/copy" || fail "copy of the image"
    [ "$format" = raw ] || qemu-img check -q -U -f "$format" "$images/g.$format" >"$work/check.log" 2>&1 || sound=$?
    guest g "fsfreeze --unfreeze /mnt" || fail "unfreeze"
    e2fsck -fn "$work/copy?offset=$(cat "$work/g.offset")" >"$work/e2fsck.log" 2>&1 || { cat "$work/e2fsck.log" >&2; fail "e2fsck"; }
    rm "$work/copy"
    [ $sound = 0 ] || [ $sound = 3 ] || { cat "$work/check.log" >&2; fail "qemu-img check"; } # 3: leaked clusters only
}

# --- one round --------------------------------------------------------------------------------------------------

count_ms () { date +%s%3N; }

is_off () { [ "$(virsh domstate g 2>/dev/null)" = "shut off" ]; }

measure_frozen ()       # VICTIM - prints how long the guest did not write from now on, in ms; fails when it is too long
{
    local began; began=$(count_ms)
    case $1 in qemu | host) wait_until 5 is_off || true ;; esac # libvirt needs a moment to see it
    ! is_off || { echo 0; return 0; }
    guest_timeout=20 guest g "echo alive >/mnt/alive && sync" >/dev/null || { echo 20000; return 1; }
    local took=$(( $(count_ms) - began ))
    echo $took
    [ $took -le $(( (freeze_s + 1) * 1000 )) ]
}

check_place ()          # XML and folder are as before
{
    [ "$(virsh domstate g)" = "shut off" ] || { check_same g; return 0; }
    virsh dumpxml --inactive g | diff "$work/g.inactive" - || fail "the inactive XML changed"
    (cd "$images" && find . | sort) | diff "$work/folder" - || fail "a file is left, or gone"
}

# after VICTIM - the checks after a fault: sets $frozen $lost $left
after ()
{
    local victim=$1 ms
    frozen=0 lost=0 left=0
    libvirtd_again "$victim"
    if ms=$(measure_frozen "$victim"); then :; else frozen=1; fi
    [ "$ms" -gt "${longest:-0}" ] && longest=$ms
    "$vmcompact" --recover >"$work/recover.out" 2>&1 || { sed 's/^/  recover: /' "$work/recover.out" >&2; left=1; }
    [ $left = 1 ] || (check_place; check_nothing_left) || left=1
    (up; check_data; check_filesystem) || lost=1
}

tell ()                 # POINT VICTIM FIRED LOST FROZEN LEFT
{
    echo "$*" >>"$work/rounds"
    [ "$3$4$5$6" = 1000 ] && return 0
    echo "BAD: method=$method format=$format point=$1 victim=$2 fired=$3 lost=$4 frozen=$5 left=$6" >&2
    sed 's/^/  err: /' "$work/err" >&2
    bad=1
    [ -z "${VMC_STOP:-}" ] || exit 1
    # A guest that is broken is replaced, so that the next round tells something.
    virsh -q destroy g 2>/dev/null; rm -rf "${images:?}"/* $state/*.journal; rm -f "$work/synced"
    : >"$work/g.console"
    fresh_guest
    up
}

round ()                # POINT VICTIM
{
    at_most_s=200 try_at "$1" "$work/kill $2 \$pid $work" "$vmcompact" --method="$method" g
    [ -e "$work/fired" ] || { tell "$1" "$2" 0 0 0 0; return 0; }
    after "$2"
    tell "$1" "$2" 1 $lost $frozen $left
}

random_round ()         # VICTIM - within the time that a run takes
{
    local wait_ms=$((RANDOM % (run_ms + 1))) pid
    rm -f "$work/fired"
    timeout 200 "$vmcompact" --method="$method" g >"$work/out" 2>"$work/err" & pid=$!
    sleep "$(printf '%d.%03d' $((wait_ms / 1000)) $((wait_ms % 1000)))"
    local child; child=$(pgrep -P $pid -x vmcompact || true)
    "$work/kill" "$1" "${child:-0}" "$work" 2>/dev/null || true
    wait $pid || true
    [ -n "$child" ] || [ "$1" != vmcompact ] || { echo "late" >>"$work/late"; up; return 0; }
    after "$1"
    tell random "$1" 1 $lost $frozen $left
}

# --- the campaign -----------------------------------------------------------------------------------------------

fresh_guest ()
{
    local discard=; [ "$method" != trim ] || discard="discard='unmap'"
    make_image g "$format" "$size" "$dirty" "$files" mbr
    rm -f "$work/synced"; : >"$work/g.console" # of the guest before
    virsh -q undefine g 2>/dev/null || true
    define_guest g "$(disk_xml vda "$images/g.$format" "$discard")"
}

find_points ()          # in the order in which a run passes them
{
    local began; began=$(count_ms)
    rm -f "$work/points"
    VMC_FAULT_LOG=$work/points "$vmcompact" --method="$method" g || fail "a run without a fault"
    run_ms=$(( $(count_ms) - began ))
    points=$(awk '!seen[$0]++' "$work/points")
}

victims ()              # POINT - in the short form: what has a test of its own with the method commit is left out for convert
{
    case ${ROUNDS:-short}-$method-$1 in
        short-convert-moved-next) echo host; return ;;
        short-convert-named | short-convert-swapped | short-convert-rewriting | short-convert-name | short-convert-copying | short-convert-hop | short-convert-swapping | short-convert-tidy) echo vmcompact; return ;;
        short-convert-*) return ;;
        short-*-redirected | short-*-pivot) echo vmcompact libvirtd host; return ;;
        short-*-committing | short-*-moved) echo vmcompact qemu host; return ;;
        # their neighbours
        short-*-prepare | short-*-made | short-*-freeze | short-*-redirect | short-*-guarded | short-*-punching | short-*-paused) return ;;
        short-*-pivoted | short-*-resumed | short-*-removed | short-*-home) return ;;
        short-*) echo vmcompact; return ;;
    esac
    echo vmcompact qemu libvirtd host
}

summary ()
{
    printf '%-20s %-10s %7s %6s %5s %7s %9s\n' "fault point" victim rounds fired lost frozen leftovers
    awk '{ key = $1 " " $2; if (!(key in n)) order[++keys] = key; n[key]++; f[key] += $3; l[key] += $4; z[key] += $5; r[key] += $6 }
         END { for (i = 1; i <= keys; i++) { k = order[i]; split(k, w, " "); printf "%-20s %-10s %7d %6d %5d %7d %9d\n", w[1], w[2], n[k], f[k], l[k], z[k], r[k] } }' "$work/rounds"
    awk '{ n++; f += $3; l += $4; z += $5; r += $6 } END { printf "%-20s %-10s %7d %6d %5d %7d %9d\n", "all", "", n, f, l, z, r }' "$work/rounds"
    echo "longest time without a write after a fault: ${longest:-0} ms"
}
trap 'status=$?; summary; end_as $status' EXIT

bad=0 longest=0
for pair in ${METHODS:-commit:qcow2 convert:qcow2}; do
    method=${pair%:*} format=${pair#*:}
    [ "$method" != convert ] || image_facts='%n %U %G %a'
    fresh_guest
    up
    find_points
    up
    for point in ${POINTS:-$points}; do
        for victim in ${VICTIMS:-$(victims "$point")}; do
            for _ in $(seq "${ROUNDS:-1}"); do round "$point" "$victim"; done
        done
    done
    for n in $(seq "${KILLS:-$([ -n "${ROUNDS:-}" ] && echo 4 || echo 1)}"); do
        set -- ${VICTIMS:-vmcompact qemu libvirtd host}
        shift $((n % $#))
        random_round "$1"
    done
    stop_guest g
    # A QEMU that is killed leaves clusters that nobody uses: no harm, and all that may be found.
    [ "$format" = raw ] || qemu-img check -q -r leaks -f "$format" "$images/g.$format" >/dev/null 2>&1 || true
    check_image g "$format"
    note_synced
    [ -s "$work/synced.enough" ] || fail "the writers synced too little to prove anything"
    rm -f "$work/synced" "$work/synced.enough"
    virsh -q undefine g; rm -f "$images"/*
done
[ $bad = 0 ] || fail "see above"
