"""Workers on a Ray cluster, under the same schedule as those of this machine."""
