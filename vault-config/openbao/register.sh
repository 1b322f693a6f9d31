#!/usr/bin/env bash
# Registers landfast with OpenBao by hand, and mounts it. With plugins-file.hcl or
# plugins-image.hcl the server registers it, and only the last command is needed:
# `MOUNT_ONLY=1 openbao/register.sh`. With a token that may write
# `sys/plugins/catalog/*` (sudo); to mount, the policy `operator` is enough.
#
#   openbao/register.sh [PLUGIN_DIRECTORY]
set -euo pipefail
directory=${1:-/opt/plugins}

if [[ -z ${MOUNT_ONLY:-} ]]; then
    # The sum is that of this very file: the server starts no other.
    sum=$(sha256sum "$directory/landfast" | cut -d' ' -f1)
    version=v$("$directory/landfast" --version | cut -d' ' -f2)
    bao plugin register -sha256="$sum" -version="$version" -command=landfast secret landfast
fi

# The life of a CA bounds that of the mount's certificates.
bao read sys/mounts/pki >/dev/null 2>&1 || bao secrets enable -path=pki -max-lease-ttl=87600h landfast
