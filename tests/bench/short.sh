# short.sh - the bench in small, for "make check": fails only where vmcompact is less than half as much faster than a peer as is claimed
#
# The claims, and how a figure is taken, are those of the whole bench; the disk is half of its, which leaves the peer less to do.
. "$(dirname "$0")/../bed/bed.sh"
for part in room ways live; do . "$(dirname "$0")/$part.sh"; done

make_room 16384
make_image one qcow2 4096 900 100 mbr
for round in 2 3 4; do # the first would measure memory, too
    live_way running "vmcompact, commit, 2 writers" "" 2 "$vmcompact" -v --method=commit g
done
fill_and_convert running
"$here/report" --check "$results"
