# The server that is initialised, and that the others join.
storage "raft" {
  path                   = "/srv/landfast/raft"
  performance_multiplier = 1
}
