#!/usr/bin/env bash
# A Debian package and a tarball of the release build: program, bundled models, unit, completions, manual pages, licences.
#
#   cargo build --release && bash deploy/package.sh [OUT]     # OUT: target/package
#
# It says the oldest glibc that the program runs on, and fails where that is newer than GLIBC (2.36, Debian 12).
# `bash deploy/try-package.sh` installs both in a bare Debian.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-target/package}
newest=${GLIBC:-2.36}
program=target/release/limpid
[ -x "$program" ] || { echo "there is no $program: cargo build --release" >&2; exit 2; }
version=$("$program" --version | cut -d' ' -f2)
machine=$(uname -m)
arch=$(dpkg --print-architecture 2>/dev/null || echo "$machine")
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

needed=$(objdump -T "$program" | grep -o 'GLIBC_[0-9.]*' | cut -d_ -f2 | sort -Vu | tail -n 1)
echo "needs glibc $needed or newer"
[ "$(printf '%s\n' "$needed" "$newest" | sort -V | tail -n 1)" = "$newest" ] ||
  { echo "that is newer than $newest: build on an older system" >&2; exit 1; }

# files ROOT PREFIX: all that is installed, below ROOT/PREFIX.
files() {
  local to=$1/$2
  install -D "$program" "$to/bin/limpid"
  mkdir -p "$to/share/limpid" "$to/share/doc/limpid"
  cp -r models "$to/share/limpid/"
  rm -rf "$to/share/limpid/models/recipes"
  install -m 644 README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE openapi.yaml "$to/share/doc/limpid/"
  install -d "$to/share/bash-completion/completions" "$to/share/zsh/site-functions" "$to/share/fish/vendor_completions.d"
  "$program" completions bash >"$to/share/bash-completion/completions/limpid"
  "$program" completions zsh >"$to/share/zsh/site-functions/_limpid"
  "$program" completions fish >"$to/share/fish/vendor_completions.d/limpid.fish"
  "$program" man "$to/share/man/man1"
  gzip -9n "$to"/share/man/man1/*.1
  find "$to" -type d -exec chmod 755 {} +
  find "$to/share" -type f -exec chmod 644 {} +
}

name=limpid-$version-$machine-linux
files "$work/$name" .
install -m 644 deploy/limpid.service "$work/$name/share/limpid/limpid.service"
tar --sort=name --owner=0 --group=0 --mtime=@0 -C "$work" -czf "$out/$name.tar.gz" "$name"

root=$work/deb
files "$root" usr
install -D -m 644 deploy/limpid.service "$root/lib/systemd/system/limpid.service"
sed -i 's|/usr/local/bin/|/usr/bin/|; /^# systemd unit/,/^#   systemctl/d' "$root/lib/systemd/system/limpid.service"
mkdir -p "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: limpid
Version: $version
Architecture: $arch
Maintainer: Limpid contributors
Section: graphics
Priority: optional
Depends: libc6 (>= $needed), libgcc-s1
Installed-Size: $(du -sk "$root" | cut -f1)
Description: self-hosted denoising service
 Denoises photographs, scans, sensor signals and microscopy with autoencoders that
 it also trains on your own files, over HTTP or on the command line, on a plain CPU.
CONTROL
cat >"$root/DEBIAN/postinst" <<'POSTINST'
#!/bin/sh
# Enabled and started where systemd runs; the service listens on 127.0.0.1:8080.
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable --now limpid.service || true
fi
POSTINST
cat >"$root/DEBIAN/prerm" <<'PRERM'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now limpid.service || true
fi
PRERM
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"
dpkg-deb --root-owner-group --build "$root" "$out/limpid_${version}_$arch.deb" >/dev/null
ls -l "$out"
