"""Where points are computed: in this process, in several here, or on a cluster."""
