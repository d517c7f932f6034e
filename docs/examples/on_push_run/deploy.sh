# Put the new version next to the earlier ones, and switch over at the end.
set -eu
release=releases/$CHANGE_HOOK_REVISION
mkdir -p "$release"
git --git-dir="$REPOSITORY" archive "$CHANGE_HOOK_REVISION" | tar -x -C "$release"
ln -sfn "$release" current
