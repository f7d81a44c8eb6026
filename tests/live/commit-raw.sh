# The main job on a raw image; see commit.sh.
. "$(dirname "$0")/commit.sh"
