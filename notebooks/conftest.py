"""Notebooks are tested in kernels that are forked, which saves most of the time that they take."""

from fbu.book import kernels

kernels.use()
