#!/usr/bin/env bash
# Installs the package and unpacks the tarball of deploy/package.sh in a bare Debian of debootstrap, and uses the program there.
#
#   sudo bash deploy/try-package.sh [OUT] [SUITE]     # OUT: target/package, SUITE: bookworm
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-target/package} suite=${2:-bookworm}
root=$(mktemp -d)
# The program finds its models beside itself by /proc/self/exe.
trap 'umount "$root/proc" 2>/dev/null || true; rm -rf --one-file-system "$root" "$root.log"' EXIT
debootstrap --variant=minbase "$suite" "$root" >"$root.log" 2>&1 || { tail "$root.log"; exit 1; }
mount -t proc proc "$root/proc"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
cp tests/data/noisy/scene.png "$root/root/"

cp "$out"/limpid_*.deb "$root/root/limpid.deb"
inside dpkg -i /root/limpid.deb
inside limpid --version
inside limpid denoise /root/scene.png -o /root/clean.png -v
[ -s "$root/root/clean.png" ] && [ -s "$root/usr/share/man/man1/limpid-denoise.1.gz" ]
inside dpkg -r limpid
! inside limpid --version 2>/dev/null

tar -C "$root/opt" -xzf "$out"/limpid-*.tar.gz
folder=$(basename "$root"/opt/limpid-*)
inside "/opt/$folder/bin/limpid" denoise /root/scene.png -o /root/again.png
cmp "$root/root/clean.png" "$root/root/again.png"
echo "package and tarball work in a bare Debian $suite"
