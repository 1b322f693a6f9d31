# sealer: takes care of the seal. Closes the server in an emergency (it does not
# open again by itself before a restart), moves the leadership away before
# maintenance, and changes keys. Reads no data.

# Close, at once. `sudo` besides `update`, as the server wants it.
path "sys/seal"      { capabilities = ["create", "update", "sudo"] }
path "sys/step-down" { capabilities = ["create", "update", "sudo"] }

# A new key for what is written from now on, and how long the present one has been
# in use. The first is the path that Vault has, too.
path "sys/rotate"         { capabilities = ["create", "update", "sudo"] }
path "sys/rotate/keyring" { capabilities = ["create", "update", "sudo"] }
path "sys/key-status"     { capabilities = ["read"] }

# New recovery shares, when a holder leaves: begins it and hands in the shares that
# the holders bring; without enough of them nothing changes. The new ones come
# encrypted to the holders' PGP keys (../initialize.sh). Vault has other paths for it
# (`sys/rekey-recovery-key/…`), which ask for no token.
path "sys/rotate/recovery/init"   { capabilities = ["create", "read", "update", "delete"] }
path "sys/rotate/recovery/update" { capabilities = ["create", "update"] }
path "sys/rotate/recovery/verify" { capabilities = ["create", "read", "update", "delete"] }
