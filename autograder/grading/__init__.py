"""What an instructor runs: verdicts that a submission cannot reach.

Read in this order:

``protocol``       the only thing that crosses between the two sides: bounded frames of plain data
``confine``        inside: namespaces, limits, system calls; what a runner gives up before it runs anything
``runner``         inside: executes a submission's cells, applies the student's object to inputs it is sent
``zygote``         inside: a process with the chapter's packages loaded, forked for each submission
``sandbox``        outside: what can be read inside, and starting and ending runners
``grader``         outside: draws inputs, asks, compares, and carries on when a runner dies
``submission``     outside: any file a student may hand in becomes a well-formed notebook and a list of steps
``records``        outside: what a verdict depends on, and verdicts kept
``nbgrader_step``  nbgrader's preprocessors that use all this in place of its own ``Execute``
``classroom``      ``python -m autograder grade``: a whole class over Dask, one writer to the gradebook
``doctor``, ``replay``  the two other commands

``protocol``, ``confine``, ``runner`` and ``zygote`` are all that a submission shares a process with: they hold no
expected value, no seed, no score and no reference.
"""
