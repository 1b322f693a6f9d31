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

# For the variant on Vault. Clients have a CA of their own, which issues to nobody else.
if [ "${UNSEAL:-no}" = yes ]; then
    DAYS=3650 bash /configuration/make-tls.sh "$work/unseal" unseal,localhost
    DAYS=3650 bash /configuration/make-tls.sh "$work/clients" client
    cp "$work"/unseal/unseal.* "$work"/clients/client.* "$tls"
    cp "$work/unseal/ca.pem" "$tls/unseal-ca.pem"
    cp "$work/clients/ca.pem" "$tls/clients-ca.pem"
    # A key file, for a version of its key is an id of AWS KMS, which nobody knows before.
    /opt/landfast/landfast unseal init-key "$tls/seal.key"
fi
touch "$tls/done"
