# The seal by landfast's unseal server, which holds the AWS credentials in this
# server's place. For machines outside AWS. The stanza is the one of the transit
# engine, which OpenBao and Vault both have: this server needs no plugin for it.
#
# Copy to /etc/openbao/server.d/seal.hcl, the same on every node but for the names
# of certificate and key. The other side is ../unseal/unseal.json and
# ../systemd/landfast-unseal.service, on a machine outside of this cluster.

seal "transit" {
  # The unseal server. Run two behind one name, and a cluster starts while one of
  # them is down.
  address = "https://unseal.example.com:8300"

  # The path of the key in the unseal server's `keys`, in its two halves.
  mount_path = "transit"
  key_name   = "unseal"

  # Whom to trust: the CA of the unseal server's certificate.
  tls_ca_cert = "/etc/openbao/unseal/ca.pem"

  # Who this is: the certificate decides, and no token is sent. Its CA issues to
  # clients of the unseal server only. Both files are read at the start of this
  # server, so let the certificate live for some months.
  tls_client_cert = "/etc/openbao/unseal/bao-1.pem"
  tls_client_key  = "/etc/openbao/unseal/bao-1.key"

  # Without a token there is nothing to renew.
  disable_renewal = "true"
}
