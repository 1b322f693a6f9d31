#!/usr/bin/env bash
# Makes a CA and a certificate for each server, at set-up, where they are needed.
# No key comes from a repository, and the CA's key need not stay on any server.
#
#   make-tls.sh DIRECTORY NAME[,NAME…] [NAME[,NAME…]…]
#   make-tls.sh tls bao-1.example.com bao-2.example.com,10.0.0.2 bao-3.example.com
#
# The first name of each server names its files: DIRECTORY/bao-1.pem (the
# certificate, then its CA's) and bao-1.key. All names and addresses stand in the
# certificate, which serves as a client's, too. Besides, ca.pem goes to everybody
# who connects; keep ca.key where the next certificate is made.
#
# What is there already stays: run it again for a new server, or remove a
# server's .pem to renew it with a new key. For the unseal server's clients take a
# directory of their own: their CA must issue to nobody else.
#
#   DAYS     how long a server's certificate is good (default 397)
#   CA_DAYS  how long the CA is good (default 3650)
set -euo pipefail

if (( $# < 2 )); then
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
fi

directory=$1
shift

# Keys are for their owner only, from the moment they exist.
umask 077
mkdir -p "$directory"
cd "$directory"

# P-256 is quick in every client, and TLS 1.3 has it everywhere.
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

if [[ ! -e ca.key || ! -e ca.pem ]]; then
    new_key ca.key
    # A CA that signs certificates of servers, and no other CAs.
    openssl req -x509 -new -key ca.key -sha256 -days "${CA_DAYS:-3650}" -subj "/CN=CA of $(basename "$PWD")" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.pem
    echo "$directory/ca.pem"
fi

for server in "$@"; do
    IFS=, read -ra names <<<"$server"
    file=${names[0]%%.*}
    [[ -e $file.pem ]] && continue

    # An address is an IP entry, all else a DNS entry: clients compare them apart.
    entries=
    for name in "${names[@]}"; do
        kind=DNS
        if [[ $name =~ ^[0-9.]+$ || $name == *:* ]]; then kind=IP; fi
        entries+=${entries:+,}$kind:$name
    done

    new_key "$file.key"
    openssl req -new -key "$file.key" -subj "/CN=${names[0]}" |
        openssl x509 -req -CA ca.pem -CAkey ca.key -sha256 -days "${DAYS:-397}" -set_serial "0x$(openssl rand -hex 16)" \
            -extfile <(
                echo "basicConstraints=critical,CA:FALSE"
                echo "keyUsage=critical,digitalSignature"
                echo "extendedKeyUsage=serverAuth,clientAuth"
                echo "subjectKeyIdentifier=hash"
                echo "authorityKeyIdentifier=keyid"
                echo "subjectAltName=$entries"
            ) 2>/dev/null >"$file.leaf"

    # The whole chain, in the order that servers send it; there only when it is complete.
    cat "$file.leaf" ca.pem >"$file.new"
    rm "$file.leaf"
    mv "$file.new" "$file.pem"
    echo "$directory/$file.pem"
done

# Certificates are public.
chmod 644 ./*.pem
