"""The properties that matter to a user, tested on the user's own data: `stratoquant validate`.

1. `suite` runs the data through the engine once, chunk by chunk, as a backtest does.
2. Properties along the run see every chunk's outputs (`account`, `gate`, `boundary`).
3. Properties on stretches see some days of it: the first ones, and others drawn at random, which begin where the run was. They
   run them again in another way and compare every output to the bit (`replays`, `future`, `apart`).

A property is a function under `@along_the_run` or `@on_stretches` (`registry`), in one of the modules that `suite` lists.
"""
