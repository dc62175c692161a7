"""Independent tasks on many processes, of this machine or of a cluster, through one small protocol."""
