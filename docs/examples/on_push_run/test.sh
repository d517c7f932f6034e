# Run the tests of the commit that was pushed, in a copy of its own.
set -eu
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git clone -q --no-checkout "$REPOSITORY" "$copy"
git -C "$copy" checkout -q "$CHANGE_HOOK_REVISION" || exit 65 # The commit no longer exists: another attempt would not find it either.
cd "$copy"
make test
