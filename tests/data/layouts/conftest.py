"""What the readers of the BP4D family refuse alike; each test module brings its own header and rows."""

from collections.abc import Callable

import pytest

Occurrence = Callable[[str, str, str], tuple[list[str], str]]
Intensity = Callable[[int], tuple[str, str]]


def unknown_code(header: str, first: str, second: str) -> tuple[list[str], str]:
    """AU1 is 1 in the second row."""
    frame = second.partition(",")[0]
    lines = [header, first, second.replace(f"{frame},1", f"{frame},5")]
    return lines, r"F001_T1.csv:3: unknown label code '5' for AU1: known are 0, 1, 9"


def field_lost(header: str, first: str, second: str) -> tuple[list[str], str]:
    width = header.count(",") + 1
    return [header, first[:-2]], rf"F001_T1.csv:2: {width - 1} fields where the header has {width}"


def frame_twice(header: str, first: str, second: str) -> tuple[list[str], str]:
    return [header, first, first], rf"F001_T1.csv:3: frame {first.partition(',')[0]} is listed twice"


def letter_in_frame(header: str, first: str, second: str) -> tuple[list[str], str]:
    frame = first.partition(",")[0]
    wrong = f"{frame[:-2]}x{frame[-1]}"
    message = rf"F001_T1.csv:2: frame number is '{wrong}', not a whole number"
    return [header, first.replace(frame, wrong)], message


@pytest.fixture(params=[unknown_code, field_lost, frame_twice, letter_in_frame])
def malformed_rows(request: pytest.FixtureRequest) -> Occurrence:
    """Makes lines of an occurrence file, and what is said about them, of a sound header and two rows."""
    return request.param


def too_strong(frame: int) -> tuple[str, str]:
    return f"{frame},6\n", r"F001_T1_AU06.csv:1: unknown intensity 6: known are 0 to 5 and 9"


def one_field(frame: int) -> tuple[str, str]:
    text = f"{frame},1\n{frame + 1}\n"
    return text, rf"F001_T1_AU06.csv:2: expected 'frame,intensity', found '{frame + 1}'"


def with_header(frame: int) -> tuple[str, str]:
    return "frame,intensity\n", r"F001_T1_AU06.csv:1: intensity is 'intensity', not a whole number"


@pytest.fixture(params=[too_strong, one_field, with_header])
def malformed_intensity(request: pytest.FixtureRequest) -> Intensity:
    """Makes the text of an intensity file, and what is said about it, of a frame."""
    return request.param
