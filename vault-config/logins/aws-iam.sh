#!/usr/bin/env bash
# Machines log in by their AWS identity: they sign a GetCallerIdentity request, and
# the server has AWS check it. Vault's AWS method; OpenBao has none built in
# (BAO=bao for a server that has it as a plugin).
#
#   ACCOUNT=111122223333 logins/aws-iam.sh node-1      a login for this node
#
# The server needs no AWS credentials for it, as names are compared literally
# (resolve_aws_unique_ids=false). Needs a token that may enable logins and write
# policies. On the node, then, with credentials of the role node-1:
#
#   landfast enroll --auth aws --auth-role node-1 --aws-server-id vault.example.com
set -euo pipefail
bao=${BAO:-vault}

grep -q '"aws/"' <<<"$("$bao" auth list -format=json)" || "$bao" auth enable aws

# A signed request counts for this server only: who gets hold of one logs in with it
# nowhere else.
"$bao" write auth/aws/config/client iam_server_id_header_value="${SERVER_ID:-vault.example.com}"

for node in "$@"; do
    # The alias of this login is no node name, so each node has a role of its own at
    # pki/, with its name in it, and a policy for that role alone.
    "$bao" write "pki/roles/$node" preset=hybrid-node node_name="$node"
    printf 'path "pki/sign/%s" { capabilities = ["create", "update"] }\n' "$node" | "$bao" policy write "$node" -

    # One IAM role for each node. Sessions of IAM Roles Anywhere have the ARN of
    # their role, too.
    "$bao" write "auth/aws/role/$node" auth_type=iam resolve_aws_unique_ids=false \
        bound_iam_principal_arn="arn:aws:iam::${ACCOUNT:?the AWS account}:role/$node" \
        token_policies="$node" token_ttl=5m token_max_ttl=30m
done
