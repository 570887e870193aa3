"""Softmax, log-softmax and logsumexp, side by side.

A worker process for every contender lives through the run, and the runner asks them in turn for
one sample each, round by round: whatever else the machine does hits all of them alike, and none
shares its threads, its allocator or its crash with another. All make the same data from the same
seed. The bandwidth of the memory is a contender like the others, ``limit``.

=============  ==========================================================================
cases          what is computed, of what shape, along which axis
contenders     one file for a family: how a case becomes functions that can be timed
worker         the child: prepares, times and evaluates what it is asked to
rounds         the parent: workers, and the order of the samples
run, report    ``python -m peers softmax``
accuracy       ``python -m peers softmax-accuracy``, with its rows and its reference
methods        ``python -m peers softmax-methods``, with its figure
=============  ==========================================================================
"""
