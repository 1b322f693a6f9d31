#!/usr/bin/env bash
# Nodes log in by a TLS client certificate: the one that landfast renews for them
# anyway. After the first enrolment no other secret is needed. The listener needs
# TLS (single.hcl), and asks clients for a certificate.
#
#   logins/cert.sh CA.pem        the login, trusting the CA in this file, and the role of certificates
#
# CA.pem is what the nodes' certificates are signed by: `bao read -field=certificate
# pki/cert/ca > CA.pem`. Run it again after the CA was rotated, with both in the file.
# Needs a token that may enable logins. BAO=vault for Vault. On the node, then:
#
#   landfast renew --auth cert --role hybrid-node-cert
#
# A certificate that has ended logs nobody in: a machine that was off for longer
# enrols again by another way.
set -euo pipefail
bao=${BAO:-bao}
ca=${1:?"the file of the CA that signs the nodes' certificates"}

grep -q '"cert/"' <<<"$("$bao" auth list -format=json)" || "$bao" auth enable cert

# The alias of a login is the common name, which is the node's name under the
# preset. So a node can only renew itself. The role is one of its own, for each is
# bound to one login.
accessor=$("$bao" read -field=accessor sys/auth/cert)
"$bao" write pki/roles/hybrid-node-cert preset=hybrid-node login=cert mount_accessor="$accessor"

# Certificates of this CA, and only for clients' use. Revoked ones are refused once
# `auth/cert/crls/nodes` has the CRL; write it there after each revocation.
"$bao" write auth/cert/certs/nodes certificate=@"$ca" allowed_common_names='*' \
    token_policies=node token_ttl=5m token_max_ttl=30m
