# A server that joins the first one, and unseals by itself as that one does.
storage "raft" {
  path                   = "/srv/landfast/raft"
  performance_multiplier = 1

  retry_join {
    leader_api_addr     = "https://server:8200"
    leader_ca_cert_file = "/srv/landfast/public/ca.pem"
  }
}
