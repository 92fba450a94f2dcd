"""Where and when a number was made, of what, and by which machine."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import resource as usage
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

from fbu.config import data_root
from fbu.recipes import DataSpec, Recipe


def data_fingerprint(recipe: Recipe) -> str:
    """Fingerprint of the data that a recipe and its starts read; twins are covered by the code and the seed."""
    parts = [_one_fingerprint(r.data, str(data_root())) for r in recipe.chain()]
    if set(parts) == {"twin"}:
        return "twin"
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]


@lru_cache(maxsize=64)
def _one_fingerprint(spec: DataSpec, root: str) -> str:
    if spec.source == "twin":
        return "twin"
    from fbu.data.specs import load_spec

    return load_spec(spec, "test").fingerprint


def provenance(recipe: Recipe) -> dict[str, Any]:
    """Where and when a number was made, and of what."""
    import torch

    return {
        "recipe": recipe.key(),
        "code": recipe.code(),
        "data": data_fingerprint(recipe),
        "task": recipe.task,
        "dataset": recipe.data.name,
        "source": sources(recipe),
        "fold": recipe.data.fold,
        "seed": recipe.seed,
        "commit": commit(),
        "machine": machine(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": recipe.threads,
        "date": now(),
    }


def sources(recipe: Recipe) -> str:
    """Sources along the chain, e.g. ``"twin -> open"``."""
    chain = [r.data.source for r in recipe.chain()]
    short = [s for i, s in enumerate(chain) if i == 0 or s != chain[i - 1]]
    return " -> ".join(short)


@lru_cache(maxsize=1)
def commit() -> str:
    """Commit of the checkout that is imported, with ``+`` when it has changes; the version when it is no checkout."""
    import fbu

    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        answer = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True)
        return answer.stdout.strip()

    try:
        if git("ls-files", "__init__.py") == "":
            return f"version {fbu.__version__}"
        return git("rev-parse", "--short=12", "HEAD") + (
            "+" if git("status", "--porcelain", "--", ".") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return f"version {fbu.__version__}"


@lru_cache(maxsize=1)
def machine() -> str:
    """Processor (or accelerator) and number of cores, in words."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    return f"{_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    """Name, family and model of the processor, and the instructions in use: they decide how sums are rounded."""
    import torch

    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        first = ""  # no such file on this system: the generic name stays
    said = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in first.splitlines())}
    name = said.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in said:
        name += f" (family {said['cpu family']}, model {said['model']})"
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def peak_memory_mb(device: str) -> int:
    """Peak memory so far in MB: of the accelerator, or of this process on a CPU."""
    import torch

    if device == "cuda":
        return round(torch.cuda.max_memory_allocated() / 2**20)
    scale = 2**20 if platform.system() == "Darwin" else 2**10
    return round(usage.getrusage(usage.RUSAGE_SELF).ru_maxrss / scale)


def now() -> str:
    """Time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
