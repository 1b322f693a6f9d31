#!/usr/bin/env bash
# Enables the audit devices. Vault has no stanza for them (OpenBao's are in
# ../openbao/audit.hcl). With a token that may write `sys/audit` (sudo). A server that
# can write to none of them answers no request: hence two.
set -euo pipefail
enabled=$(vault audit list -format=json 2>/dev/null || echo '{}')

# Its folder belongs to Vault's user and is never plugin_directory; logrotate sends
# SIGHUP after it has moved the file away.
grep -q '"file/"' <<<"$enabled" ||
    vault audit enable -path=file file file_path="${AUDIT_LOG:-/var/log/vault/audit.log}" mode=0600

# The journal, by way of standard output.
grep -q '"journal/"' <<<"$enabled" || vault audit enable -path=journal file file_path=stdout
