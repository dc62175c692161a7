"""Machine specs: a named change of one domain, applied to a project's files as a whole, and taken back.

>>> project = owned(Path("my_project"))
>>> proposal = propose(project, load_spec(project, "conservative_risk"))
>>> print(proposal.difference)   # what it would change
>>> carry_out(project, proposal) # writes config/ and wiring_master.yaml, together
>>> carry_out(project, take_back(project))
"""
