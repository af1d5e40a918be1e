#!/usr/bin/env bash
# package.sh BINARY TARGET DIR: the archive of a release in DIR, named as `package.metadata.binstall` of Cargo.toml says, and in DIR/share the manual
# pages and completions, which the Debian package takes too. BINARY must run here.
set -euo pipefail

binary=$1 target=$2 dir=$3
version=$("$binary" --version | cut -d' ' -f2)
name=havenlint-v$version-$target
root=$(cd "$(dirname "$0")/../.." && pwd)

rm -rf "$dir/share" "${dir:?}/$name"
mkdir -p "$dir/share/completions" "$dir/$name"
"$binary" man --dir "$dir/share/man"
for shell in bash zsh fish powershell; do
    "$binary" completions "$shell" >"$dir/share/completions/havenlint.$shell"
done
cp "$binary" "$root/README.md" "$root/LICENSE" "$dir/$name/"
cp -R "$dir/share/." "$dir/$name/"
cd "$dir"
case $target in
    *windows*) archive=$name.zip && 7z a -bso0 "$archive" "$name" ;;
    *) archive=$name.tgz && tar -czf "$archive" --owner=0 --group=0 "$name" ;;
esac
rm -rf "$name"
echo "$archive"
