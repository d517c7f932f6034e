# Build an image of the commit that was pushed. "docker build" and "podman build" take the same arguments.
set -eu
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
git --git-dir="$REPOSITORY" archive "$CHANGE_HOOK_REVISION" | tar -x -C "$context"
buildah build -t "site:$CHANGE_HOOK_REVISION" -f "$context/Containerfile" "$context"
