"""A wide universe on many processes: the market side of the graph in shards of symbols, with the bits of one process.

The graph's own marks say how it splits. A layer of which one symbol's output depends on no other symbol runs per shard; a
cross-sectional one runs over all symbols, on what the shards hand on of what it reads. So the layers fall into passes: those
that wait for no cross-sectional layer, the cross-sectional ones that wait for those alone, those that wait for these, and so
on.

Work is handed out as tasks: a pass, some symbols, some days; the memory before them goes in as a checkpoint, and comes out as
one. A task is begun when what it takes is there, so that the passes of several blocks of days run at a time. Passes hand values
on by files, from worker to worker. A worker holds nothing that another could not be given, so one that dies costs its task.
"""
