# The main job on a disk of 8 GiB, of which 3.4 GiB were written and 0.4 GiB are in use, qcow2, and raw in the long form; see commit.sh.
. "$(dirname "$0")/commit.sh"
