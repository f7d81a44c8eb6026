# The main job on a whole disk that passes discards; see commit.sh.
. "$(dirname "$0")/commit.sh"
