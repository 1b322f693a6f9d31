#!/usr/bin/env bash
# Registers landfast with Vault, and mounts it. Vault has no stanza for it: once, on
# any node, with a token that may write `sys/plugins/catalog/*` (sudo); the file
# lies on every node before.
#
#   vault/register.sh [PLUGIN_DIRECTORY]
set -euo pipefail
directory=${1:-/opt/plugins}

# The sum is that of this very file: Vault starts no other.
sum=$(sha256sum "$directory/landfast" | cut -d' ' -f1)
version=v$("$directory/landfast" --version | cut -d' ' -f2)
vault plugin register -sha256="$sum" -version="$version" -command=landfast secret landfast

# Named with its version, the mount stays with it until it is tuned to another. The
# life of a CA bounds that of the mount's certificates.
grep -q '"pki/"' <<<"$(vault secrets list -format=json)" ||
    vault secrets enable -path=pki -plugin-version="$version" -max-lease-ttl=87600h landfast
