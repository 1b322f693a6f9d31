# backup: saves snapshots. They hold everything, encrypted by the server's own
# key, and open only for who has the seal's key. Restoring is writing, and is not
# here.
path "sys/storage/raft/snapshot" { capabilities = ["read"] }
