"""The examples in the docstrings of the losses run, and every public loss has one."""

import doctest
import importlib
import inspect

import pytest

import fbu.losses


@pytest.mark.parametrize("name", fbu.losses.__all__)
def test_docstring_example_runs(name: str) -> None:
    loss = getattr(fbu.losses, name)
    module = importlib.import_module(loss.__module__)
    (found,) = doctest.DocTestFinder(recurse=False).find(loss, name, globs=vars(module).copy())
    assert found.examples, f"{name} has no example"
    report: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(found, out=report.append)
    assert not failed, "".join(report)


@pytest.mark.parametrize("name", fbu.losses.__all__)
def test_docstring_describes_every_argument_and_cites_the_equation(name: str) -> None:
    loss = getattr(fbu.losses, name)
    text = inspect.getdoc(loss) or ""
    for parameter in inspect.signature(loss).parameters:
        assert f"\n    {parameter}: " in text, f"{name} does not describe {parameter}"
    assert "Eq. " in text and "Raises:" in text and "Returns:" in text


def test_catalogue_lists_every_loss() -> None:
    catalogue = inspect.getdoc(fbu.losses) or ""
    for name in fbu.losses.__all__:
        assert f"\n{name} " in catalogue
