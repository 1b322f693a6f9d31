#!/usr/bin/env bash
# Makes what is given to others, from a binary that is built already, in target/dist/:
#
#   landfast-VERSION-linux-ARCH/            the binary, manual pages, shell completions, units, SBOM, licences
#   landfast-VERSION-linux-ARCH.tar.gz      the same as an archive
#   landfast_VERSION_ARCH.deb               the same as a Debian package
#   SHA256SUMS                              of the binary and of all files above
#
# Nothing of time, user or machine is in it: one commit and one binary give the same files.
#
#   LANDFAST=/path/to/it      another binary than target/release/landfast
#   MANUAL=/path/to/it        a binary that runs here, when LANDFAST is for another architecture
#   STRIP=aarch64-linux-gnu-strip   the same for the program that takes symbols out
#   DIST_DIR=/path            another folder than target/dist
#   DEB_MAINTAINER="A <a@example.com>"   who answers for the Debian package
#
# It needs binutils, python3, tar, gzip and, for the package, dpkg-deb.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C TZ=UTC
umask 022
fail() { echo "dist: $*" >&2; exit 1; }

binary=${LANDFAST:-target/release/landfast}
[[ -x $binary ]] || fail "no binary at $binary: run \`make build\`, or set LANDFAST"
manual=$(realpath "${MANUAL:-$binary}")
out=${DIST_DIR:-target/dist}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

# `landfast 0.1.0 (commit 0123456789ab)`
read -r _ version _ <<<"$("$manual" --version)"
case $(readelf -hW "$binary" | sed -n 's/^ *Machine: *//p') in
    *X86-64*) arch=amd64 ;;
    AArch64) arch=arm64 ;;
    *) fail "$binary is for neither x86_64 nor aarch64" ;;
esac
name=landfast-$version-linux-$arch
rm -rf "$out"
mkdir -p "$out/$name"
folder=$out/$name

# Symbols are for debuggers. A binary without them goes in as it is, with the sum that it has.
if readelf -SW "$binary" | grep -q ' \.symtab '; then
    "${STRIP:-strip}" -o "$folder/landfast" "$binary"
else
    cp "$binary" "$folder/landfast"
fi
"$manual" manual "$folder"
scripts/sbom.py "$folder/landfast.cdx.json" "$folder/THIRD-PARTY-LICENSES.txt"
cp LICENSE CHANGELOG.md "$folder/"
install -d "$folder/systemd"
cp vault-config/systemd/landfast-* "$folder/systemd/"

# The same files where Debian has them.
package=$(mktemp -d)
trap 'rm -rf "$package"' EXIT
usr=$package/usr doc=$package/usr/share/doc/landfast
install -d "$usr/bin" "$usr/lib/systemd/system" "$usr/share/man/man1" "$usr/share/bash-completion/completions" \
    "$usr/share/zsh/vendor-completions" "$usr/share/fish/vendor_completions.d" "$doc" "$package/DEBIAN"
cp "$folder/landfast" "$usr/bin/"
for unit in "$folder"/systemd/*; do
    sed 's|/usr/local/bin/landfast|/usr/bin/landfast|' "$unit" >"$usr/lib/systemd/system/${unit##*/}"
done
cp "$folder"/man/*.1 "$usr/share/man/man1/"
gzip -9n "$usr"/share/man/man1/*.1
cp "$folder/completions/landfast.bash" "$usr/share/bash-completion/completions/landfast"
cp "$folder/completions/_landfast" "$usr/share/zsh/vendor-completions/"
cp "$folder/completions/landfast.fish" "$usr/share/fish/vendor_completions.d/"
cp "$folder/landfast.cdx.json" "$folder/THIRD-PARTY-LICENSES.txt" "$doc/"
gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
cat >"$doc/copyright" <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: the authors of landfast
License: MPL-2.0
 The text is in /usr/share/common-licenses/MPL-2.0. What is linked in has
 licences of its own: landfast.cdx.json names each, and
 THIRD-PARTY-LICENSES.txt has their texts.
END

# What the dynamic linker wants, as package names of Debian.
libc=$(readelf -VW "$folder/landfast" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -1)
depends="libc6 (>= $libc)"
if readelf -dW "$folder/landfast" | grep -q 'libgcc_s\.so\.1'; then
    depends+=", libgcc-s1"
fi
cat >"$package/DEBIAN/control" <<END
Package: landfast
Version: $version
Architecture: $arch
Maintainer: ${DEB_MAINTAINER:-the maintainers of landfast}
Section: admin
Priority: optional
Depends: $depends
Installed-Size: $(du -sk --apparent-size "$usr" | cut -f1)
Description: certificate authority and seal for Vault and OpenBao
 A secrets engine and a seal when a server starts it as a plugin; commands
 that give machines outside of AWS a certificate and temporary AWS credentials
 when a person or systemd does.
 .
 No unit is enabled by the package.
END
# Started units end with the package; dpkg on another root (DPKG_ROOT) has none.
cat >"$package/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    systemctl --quiet --no-reload disable --now landfast-renew.timer landfast-renew.service landfast-serve.service landfast-unseal.service landfast-public.service || true
fi
END
for script in postinst postrm; do
    cat >"$package/DEBIAN/$script" <<'END'
#!/bin/sh
set -e
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    systemctl --quiet daemon-reload || true
fi
END
done
(cd "$package" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)

for place in "$folder" "$package"; do
    find "$place" -type d -exec chmod 755 {} +
    find "$place" -type f -exec chmod 644 {} +
    find "$place" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
done
chmod 755 "$folder/landfast" "$usr/bin/landfast" "$package"/DEBIAN/{prerm,postinst,postrm}

tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --directory "$out" "$name" | gzip -n >"$out/$name.tar.gz"
if command -v dpkg-deb >/dev/null; then
    dpkg-deb --root-owner-group -Zgzip --build "$package" "$out/landfast_${version}_$arch.deb" >/dev/null
else
    echo "dist: no dpkg-deb here, so no Debian package" >&2
fi
(cd "$out" && sha256sum "$name/landfast" ./*.tar.gz $(ls ./*.deb 2>/dev/null) | sed 's|  \./|  |' >SHA256SUMS)
sed 's/^/dist: /' "$out/SHA256SUMS"
