#!/bin/sh
# Starts one server. NAME says which, ROLE is `first` or `join`.
set -eu
umask 077

# The certificate that certs.sh made for this one.
ln -sf "/srv/landfast/tls/$NAME.pem" /tmp/server.pem
ln -sf "/srv/landfast/tls/$NAME.key" /tmp/server.key

# The server starts no other file than the one with this sum. In production the
# sum stands in the configuration; here both come out of one image.
sum=$(sha256sum /opt/landfast/landfast | cut -d ' ' -f 1)
version=v$(/opt/landfast/landfast --version | cut -d ' ' -f 2)
cat >/tmp/plugins.hcl <<HCL
plugin "kms" "awskms" {
  command   = "landfast"
  sha256sum = "$sum"
}
plugin "secret" "landfast" {
  command   = "landfast"
  version   = "$version"
  sha256sum = "$sum"
}
HCL

exec bao server -config=/etc/landfast/server.hcl -config="/etc/landfast/$ROLE.hcl" -config=/tmp/plugins.hcl
