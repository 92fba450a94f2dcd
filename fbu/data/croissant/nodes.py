"""Nodes of a Croissant document: sets of files, tables of records, and their fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fbu.data.manifest import Manifest

Node = dict[str, Any]
#: Files, then record sets, of one dataset.
Described = tuple[list[Node], list[Node]]

#: Of a field that holds numbers.
INTEGER = "sc:Integer"


def file_set(name: str, includes: Sequence[str], encoding: str, description: str) -> Node:
    """Files of one kind, by patterns of their paths."""
    node: Node = {"@type": "cr:FileSet", "@id": name, "name": name, "description": description}
    return node | {"encodingFormat": encoding, "includes": list(includes)}


def records(name: str, fields: Sequence[Node], key: Sequence[str] = ()) -> Node:
    """A table; ``key`` names the columns that tell its rows apart."""
    node: Node = {"@type": "cr:RecordSet", "@id": name, "name": name}
    if key:
        node["key"] = [{"@id": f"{name}/{column}"} for column in key]
    return node | {"field": list(fields)}


def field(records: str, name: str, description: str, source: Node, kind: str = "sc:Text") -> Node:
    """A column of a table."""
    node: Node = {"@type": "cr:Field", "@id": f"{records}/{name}", "name": name, "description": description}
    return node | {"dataType": kind, "source": source}


def column(files: str, column: str, regex: str | None = None) -> Node:
    """Source of a field: a column of tables, or what a pattern finds in it."""
    return source_of(files, {"column": column}, regex)


def of_file(files: str, regex: str | None = None, prop: str = "filename") -> Node:
    """Source of a field: a property of files (name, path, lines), or what a pattern finds in it."""
    return source_of(files, {"fileProperty": prop}, regex)


def source_of(files: str, extract: Node, regex: str | None) -> Node:
    """Source of a field: what is taken out of files, and the pattern whose first group is the value."""
    # The pattern is matched from the start of the text, and its first group is the value.
    source: Node = {"fileSet": {"@id": files}, "extract": extract}
    return source | ({"transform": {"regex": regex}} if regex else {})


def classes(manifest: Manifest) -> Node:
    """Label codes as a table of their own."""
    fields: list[Node] = [
        {
            "@type": "cr:Field",
            "@id": f"classes/{name}",
            "name": name,
            "description": told,
            "dataType": "sc:Text",
        }
        for name, told in (("code", "Code in the file."), ("name", "Class that it means."))
    ]
    rows = [{"classes/code": c.code, "classes/name": c.name} for c in manifest.classes]
    node: Node = {"@type": "cr:RecordSet", "@id": "classes", "name": "classes", "dataType": "sc:Enumeration"}
    return node | {"key": [{"@id": "classes/code"}], "field": fields, "data": rows}
