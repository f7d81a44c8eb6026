# rest.sh - a case of the bench: an image at rest, two fifths of it on the host, a twentieth in use
#
# No guest runs: for all of these it is down for as long as they take, and while it shuts down and boots.

measure_rest ()         # TABLE ROW WAY FORMAT
{
    local result image=$images/copy.$4
    result=$(timed "$3" "$4")
    [ ! -e "$image.new" ] || image=$image.new
    note "$1" "$2" "${result% began=*}" ${mark:+"mark_s=$(of mark_s "$result")"} "$(sizes "$image")"
}

# Anew is beside the image, which stays as it is.
anew ()                 # TABLE ROW WAY FORMAT
{
    rm -f "$images/copy.$4.new"
    measure_rest "$@"
    [ "$round" != 1 ] || { check_result "$images/copy.$4.new" "$4"; rm "$images/copy.$4.new"; note "$1" "$2" "$(memory_of "$3" "$4")"; }
    rm -f "$images/copy.$4.new"
}

changed ()              # TABLE ROW WAY FORMAT
{
    fresh one "$4"
    measure_rest "$@"
    [ "$round" != 1 ] || { check_result "$images/copy.$4" "$4"; fresh one "$4"; note "$1" "$2" "$(memory_of "$3" "$4")"; }
}

# With what in_place has punched.
limits_of_rest ()       # TABLE FORMAT
{
    "$limits" ranges "$images/one.$2" "$images/copy.$2" >"$work/ranges"
    anew "$1" "limit: a plain copy of what is used" plain_copy "$2"
    anew "$1" "limit: the same by copy_file_range" kernel_copy "$2"
    changed "$1" "limit: the punches alone" punches "$2"
}

peers_of_raw ()         # TABLE
{
    changed "$1" "e2fsck -E discard" e2fsck_discard raw
    fresh one raw
    anew "$1" "e2image -ra" e2image_ra raw
}

sparsify ()             # TABLE FORMAT
{
    local mark="launch = 0"
    have virt-sparsify guestfs-tools supermin linux-image-cloud-amd64 || return 0
    fresh one "$2"
    appliance "$2"
    changed "$1" "virt-sparsify --in-place" virt_sparsify "$2"
    [ "$round" -gt "$slow_rounds" ] || { fresh one "$2"; anew "$1" "virt-sparsify, copying" virt_sparsify_copy "$2"; }
}

rest_case ()            # FORMAT DISK_MIB
{
    local table="at rest, $1, $(($2 / 1024)) GiB" round
    make_image one "$1" "$2" $(($2 * 17 / 40)) $(($2 / 20)) mbr
    for round in $(seq "$rounds"); do
        fresh one "$1"
        anew "$table" "vmcompact, convert" convert "$1"
        anew "$table" "qemu-img convert alone" qemu_img_convert "$1"
        ! have zerofree zerofree || anew "$table" "zerofree and convert" zerofree_and_convert "$1"
        changed "$table" "vmcompact, in place" in_place "$1"
        limits_of_rest "$table" "$1"
        [ "$1" != raw ] || peers_of_raw "$table"
        [ "$1" = raw ] || sparsify "$table" "$1" # the format makes no difference to it
    done
    clear_room
}
