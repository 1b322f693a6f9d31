# node: one machine, which gets certificates for its own name.
#
# The role decides the name by how the machine logged in (../logins/): whoever holds
# this policy and another machine's login gets that machine's name, and no more.

# Its request is signed; the key stays on the machine. Not `issue`, where the
# server makes the key. One role for each way to log in.
path "pki/sign/hybrid-node"            { capabilities = ["create", "update"] }
path "pki/sign/hybrid-node-cert"       { capabilities = ["create", "update"] }
path "pki/sign/hybrid-node-kubernetes" { capabilities = ["create", "update"] }

# What a machine may do with its own token, `default` allows already. CAs, chains
# and CRLs everybody reads without one.
