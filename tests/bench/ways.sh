# ways.sh - sourced by the cases of the bench: the ways to compact an image at rest, ours and those of others
#
# Each is a function of FILE and FORMAT. What it makes anew is FILE.new; the others change FILE. They are exported: each is run by a
# shell of its own, which is measured.

in_place () { "$vmcompact" --image="$1" --method=commit; }
dry_run () { "$vmcompact" --image="$1" --method=commit --dry-run; }
convert () { "$vmcompact" --image="$1" --method=convert --output="$1.new"; }

# Of the filesystem alone these know, not of images and partitions.
partition () { losetup -f --show -o "$(cat "$work/copy.offset")" "$1"; }   # FILE
zerofree_raw ()         # FILE
{
    local loop
    loop=$(partition "$1")
    zerofree "$loop" || { losetup -d "$loop"; return 1; }
    losetup -d "$loop"
}
zerofree_and_convert () # FILE FORMAT
{
    local raw=$1
    [ "$2" = raw ] || { raw=$1.raw; qemu-img convert -f "$2" -O raw "$1" "$raw"; }
    zerofree_raw "$raw"
    qemu-img convert -f raw -O "$2" "$raw" "$1.new"
    [ "$raw" = "$1" ] || rm "$raw"
    sync "$1.new"
}
e2fsck_discard ()       # FILE
{
    local loop status=0
    loop=$(partition "$1")
    e2fsck -fy -E discard "$loop" || status=$?
    losetup -d "$loop"
    [ $status -le 1 ] && sync "$1"
}
e2image_ra () { e2image -ra -o "$(cat "$work/copy.offset")" -O "$(cat "$work/copy.offset")" "$1" "$1.new" && sync "$1.new"; }   # FILE
qemu_img_convert () { qemu-img convert -f "$2" -O "$2" "$1" "$1.new" && sync "$1.new"; }
virt_sparsify () { LIBGUESTFS_TRACE=1 virt-sparsify --in-place --format "$2" "$1"; }
virt_sparsify_copy () { LIBGUESTFS_TRACE=1 virt-sparsify --format "$2" --convert "$2" "$1" "$1.new" && sync "$1.new"; }

# What each of the two methods cannot do without.
punches () { "$limits" punch "$1" <"$work/ranges"; }
plain_copy () { "$limits" copy "$1" "$1.new"; }
kernel_copy () { "$limits" copy "$1" "$1.new" copy_file_range; }

export limits
export -f in_place dry_run convert partition zerofree_raw zerofree_and_convert e2fsck_discard e2image_ra qemu_img_convert
export -f virt_sparsify virt_sparsify_copy punches plain_copy kernel_copy

appliance ()            # FORMAT - once: libguestfs makes its appliance; where KVM does not work, it is not used
{
    export LIBGUESTFS_BACKEND=direct LIBGUESTFS_CACHEDIR=$work TMPDIR=$work
    [ -z "${appliance_made:-}" ] || return 0
    appliance_made=yes
    [ -e /dev/kvm ] || note remark "virt-sparsify" "its appliance runs under TCG: there is no KVM"
    timeout 90 bash -c "virt_sparsify '$images/copy.$1' $1" >"$work/log" 2>&1 && return
    export LIBGUESTFS_BACKEND_SETTINGS=force_tcg
    note remark "virt-sparsify" "its appliance runs under TCG: KVM does not work here"
    timeout 300 bash -c "virt_sparsify '$images/copy.$1' $1" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "virt-sparsify"; }
}
