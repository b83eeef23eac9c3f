"""What an instructor runs: verdicts that a submission cannot reach.

Read in this order:

``protocol``       the only thing that crosses between the two sides: bounded frames of plain data
``confine``        inside: namespaces, limits, system calls; what a runner gives up before it runs anything
``runner``         inside: executes a submission's cells, applies the student's object to inputs it is sent
``zygote``         inside: a process with the chapter's packages loaded, forked for each submission
``sandbox``        outside: what can be read inside, and starting and ending runners
``session``        outside: what a runner is asked, and the next runner when one has died
``grader``         outside: draws the inputs, compares, gives the points
``reading``        outside: any file a student may hand in, and the text of its cells
``submission``     outside: that text in the source notebook's frame, and the steps to grade it by
``records``        outside: what a verdict depends on, and verdicts kept
``nbgrader_step``  nbgrader's preprocessors that use all this in place of its own ``Execute``
``cluster``        where verdicts are made: here, on Dask workers of this machine, or of others
``classroom``      ``python -m autograder grade``: a whole class, one writer to the gradebook
``doctor``, ``replay``  the two other commands

``protocol``, ``confine``, ``runner`` and ``zygote`` are all that a submission shares a process with: they hold no
expected value, no seed, no score and no reference.
"""
