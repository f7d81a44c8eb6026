# The main job on a GPT partition of a virtio-scsi disk, with cache=none; see commit.sh.
. "$(dirname "$0")/commit.sh"
