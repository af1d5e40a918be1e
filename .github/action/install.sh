#!/usr/bin/env bash
# How the action comes to a havenlint: one that is installed; the release that is asked for, with its provenance verified; or built from this commit.
set -euo pipefail

! command -v havenlint >/dev/null || exit 0
version=${HAVENLINT_VERSION:-}
if [ -z "$version" ]; then
    exec cargo install --locked --path "$(dirname "$0")/../.."
fi
case $(uname -s)-$(uname -m) in
    Linux-x86_64) target=x86_64-unknown-linux-musl ;;
    Linux-aarch64) target=aarch64-unknown-linux-musl ;;
    Darwin-x86_64) target=x86_64-apple-darwin ;;
    Darwin-arm64) target=aarch64-apple-darwin ;;
    *) echo "no release for $(uname -s) $(uname -m): leave out \`version\` to build it" >&2 && exit 2 ;;
esac
repository=havenlint/havenlint
name=havenlint-v$version-$target
dir=$(mktemp -d)
gh release download "v$version" --repo "$repository" --pattern "$name.tgz" --dir "$dir"
gh attestation verify "$dir/$name.tgz" --repo "$repository"
tar -xzf "$dir/$name.tgz" -C "$dir"
echo "$dir/$name" >>"$GITHUB_PATH"
