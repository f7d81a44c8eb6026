# bash completion for vmcompact(8)

_vmcompact ()
{
    local cur prev words cword split
    _init_completion -s || return
    case $prev in
        --method) COMPREPLY=($(compgen -W 'auto trim commit convert' -- "$cur")); return ;;
        --progress) COMPREPLY=($(compgen -W 'auto always never' -- "$cur")); return ;;
        --format) COMPREPLY=($(compgen -W 'qcow2 raw' -- "$cur")); return ;;
        --image | --output | --config) _filedir; return ;;
        --overlay-dir | --metrics-dir) _filedir -d; return ;;
        --connect | -c) COMPREPLY=($(compgen -W 'qemu:///system qemu:///session' -- "$cur")); return ;;
        --disk | --timeout | --freeze-timeout | --lock-wait | --bandwidth | --cluster-size | --min-reclaim | --exclude | \
            --until | --jobs | --on-failure) return ;;
    esac
    $split && return
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W '-c --connect= --method= --disk= -n --dry-run --json -q --quiet -v --verbose --progress=
            --timeout= --freeze-timeout= --overlay-dir= --format= --cluster-size= --compress --keep-old --zero --bandwidth=
            --min-reclaim= --all --running --inactive --exclude= --until= --jobs= --status --doctor --setup --discard
            --image= --output= --recover --lock-wait= --config= --metrics-dir= --on-failure= -h --help -V --version' -- "$cur"))
        [[ ${COMPREPLY-} == *= ]] && compopt -o nospace
    else
        COMPREPLY=($(compgen -W "$(virsh -q list --all --name 2>/dev/null)" -- "$cur"))
    fi
} && complete -F _vmcompact vmcompact
