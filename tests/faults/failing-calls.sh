# One call of vmcompact fails: no memory, a file that cannot be opened, written, synced, renamed, closed, a fork that fails. Whatever
# becomes of that run, the next one finds all as it was, or brings it home, and nothing is lost.
#
#   SAMPLES  how many of the calls of each class fail, spread over the run, one in each run (default 2, in the short form 1; "all")
#   CLASSES  only these
. "$(dirname "$0")/faults.sh"

failing=$top_builddir/tests/faults/failing.so
if ldd "$vmcompact" | grep -q 'lib[au]*[bt]*san'; then
    echo "a sanitizer has its own malloc"; exit 77
fi
export VMC_FAULT_CALL_S=20      # the longest that libvirt may think
new_guest
: >"$work/statuses"

with_failing ()         # CLASS N - sets $status
{
    rm -f "$work/log"; status=0
    { timeout 100 env LD_PRELOAD="$failing" FAILING_CALL="$1" FAILING_NTH="$2" FAILING_LOG="$work/log" \
        "$vmcompact" --method=commit g >"$work/out" 2>"$work/err"; } 2>/dev/null || status=$?
}

# Out of memory, GLib, which libvirt uses, aborts; and a library may crash: that is like a kill -9. In our own code it is a bug.
check_end ()            # CLASS N
{
    case $status in
        0 | 1 | 3 | 5 | 133 | 134) ;;
        139) sed -n '/^crash/,$p' "$work/log" | grep -v 'failing.so\|libc.so\|^crash' | head -n 1 | grep -q 'vmcompact' || return 0
             cat "$work/log" >&2; fail "vmcompact crashed after $1 number $2" ;;
        *) cat "$work/err" >&2; fail "exit status $status after $1 number $2" ;;
    esac
}

round ()                # CLASS N
{
    with_failing "$1" "$2"
    grep -q "^fired $1 $2\$" "$work/log" || { echo "$1 late" >>"$work/statuses"; return 0; }
    check_end "$1" "$2"
    echo "$1 $status" >>"$work/statuses"
    status=0; timeout 120 "$vmcompact" --recover >"$work/recover.out" 2>&1 || status=$?
    [ $status = 0 ] || { cat "$work/err" "$work/recover.out" >&2; fail "--recover ends with $status after $1 number $2"; }
    (check_home) || { cat "$work/err" >&2; fail "not as before after $1 number $2"; }
    rounds=$((rounds + 1))
    [ $((rounds % 10)) != 0 ] || check_data
}

with_failing none 0
[ $status = 0 ] || { cat "$work/err" >&2; fail "a run without a fault"; }
check_home
cp "$work/log" "$work/totals"
rounds=0
for class in ${CLASSES:-malloc open write fsync rename close fork pipe2 stat unlink fallocate}; do
    total=$(sed -n "s/^total $class //p" "$work/totals")
    [ "$total" -gt 0 ] || fail "no call of $class"
    samples=${SAMPLES:-$(in_short && echo 1 || echo 2)}; [ "$samples" != all ] && [ "$samples" -le "$total" ] || samples=$total
    for n in $(seq "$samples"); do round "$class" $(( (2 * n - 1) * total / (2 * samples) + 1 )); done
    say "$class: $total calls; $(grep "^$class " "$work/statuses" | sort | uniq -c | awk '{ printf "%s%d times %s", (NR > 1 ? ", " : ""), $1, ($3 == "late" ? "not reached" : "exit status " $3) }')"
done
[ $rounds -gt 0 ] || fail "no call failed"
say "$rounds calls failed"
check_data
end_guest
