"""One module per data set: its ``POPULATION``, and ``draw(size, seed)``, which makes a world of it.

These numbers fix the difficulty of the twins. They were settled before any two methods were compared and stay. A module
is found by the data set's name, so a new twin leaves the results on the others as they are.
"""
