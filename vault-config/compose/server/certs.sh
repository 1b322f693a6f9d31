#!/bin/sh
# Makes the CA and the servers' certificates, once: no key is in the repository.
# The CA's key is gone when this ends; to make new ones, remove the volumes.
set -eu
umask 077
tls=/srv/landfast/tls
public=/srv/landfast/public

if [ -e "$tls/done" ]; then
    echo "certs: nothing to do"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each server by its own name, by the name for all of them, and from this machine.
DAYS=3650 bash /configuration/make-tls.sh "$work" \
    server,openbao,localhost,127.0.0.1 server-2,openbao,localhost,127.0.0.1 server-3,openbao,localhost,127.0.0.1

cp "$work"/server*.pem "$work"/server*.key "$tls"
cp "$work/ca.pem" "$public/ca.pem"
chmod 644 "$public/ca.pem"
touch "$tls/done"
