from __future__ import annotations

import pytest

from fbu import reported
from fbu.claims import Claim, Filter, Side, Term, claim, claims, contradicted, evaluate, parse
from fbu.errors import DataError

CELL = "metric(table=clef_table2_bp4d;method=CLEF;dataset=BP4D;class_or_au=avg;metric=f1)"
OTHERS = "max(table=clef_table2_bp4d;method!=CLEF;dataset=BP4D;class_or_au=avg;metric=f1)"
TEMPLATE = "A photo of a person making a [CLS] facial expression."


def made(comparison: str) -> Claim:
    mode, terms, statement = parse(comparison)
    return Claim("x-01", "clef", "", "", comparison, (), (), mode, terms, statement)


def test_the_file_holds_eighty_claims() -> None:
    count = {paper: len(claims(paper)) for paper in reported.PAPERS}
    assert count == {"clef": 23, "ke_fer": 19, "dk_clip": 20, "emoco": 18}
    assert len(claims()) == 80 and sum(one.numeric for one in claims()) == 58
    assert len({one.id for one in claims()}) == 80


@pytest.mark.parametrize("one", [c for c in claims() if c.numeric], ids=lambda c: c.id)
def test_listed_differences_are_those_of_the_tables(one: Claim) -> None:
    result = evaluate(one)
    assert result is not None
    assert result.differences == pytest.approx(one.reported_difference, abs=5e-3)


def test_claims_without_tables_have_a_statement() -> None:
    for one in claims():
        assert (one.statement is None) == one.numeric
        if not one.numeric:
            assert evaluate(one) is None
    sweep = claim("emoco-14").statement
    assert sweep is not None and sweep.kind == "sweep" and sweep.settings["param"] == "lambda"
    best = claim("clef-23").statement
    assert best is not None and (best.kind, best.value) == ("argmax", "2")


def test_claims_that_the_tables_contradict() -> None:
    frame = contradicted()
    assert frame["id"].tolist() == ["clef-11", "clef-12", "dk_clip-07"]
    assert frame.set_index("id")["wrong"].to_dict() == {"clef-11": 2, "clef-12": 2, "dk_clip-07": 1}
    assert frame["differences"].iloc[2] == "-21.24; -23.27; +0.70; -4.42"
    assert contradicted("emoco").empty and list(contradicted("emoco").columns) == list(frame.columns)


def test_parsed_parts() -> None:
    mode, terms, statement = parse(f"{CELL} > {OTHERS} AND {CELL} < 70.5")
    assert (mode, statement, len(terms)) == ("ALL", None, 2)
    assert terms[0].left == Side(
        "metric",
        "clef_table2_bp4d",
        (
            Filter("method", "=", "CLEF"),
            Filter("dataset", "=", "BP4D"),
            Filter("class_or_au", "=", "avg"),
            Filter("metric", "=", "f1"),
        ),
    )
    assert (terms[0].sign, terms[1].sign) == (">", "<")
    assert terms[1].difference() == pytest.approx(65.9 - 70.5)


def test_a_variant_runs_to_the_closing_parenthesis() -> None:
    side = parse(f"{CELL[:-1]};variant=PA=0;PI=1;I=1;N=0;D=0) > 1")[1][0].left
    assert side.filters[-1] == Filter("variant", "=", "PA=0;PI=1;I=1;N=0;D=0")
    prompt = claim("ke_fer-11").terms[0]
    assert prompt.left.filters[-1] == Filter("variant", "=", TEMPLATE)
    assert prompt.right.filters[-1] == Filter("variant", "!=", TEMPLATE)
    assert len(prompt.right.rows()) == 8  # the other templates of that encoder and dataset


@pytest.mark.parametrize(
    ("operator", "text", "passes"),
    [("=", "CLEF", True), ("!=", "CLEF", False), ("~=", "LE", True), ("~=", "X", False), ("=", "CLE", False)],
)
def test_filters(operator, text: str, passes: bool) -> None:
    assert Filter("method", operator, text)("CLEF") is passes


def test_modes_ask_for_all_most_or_one() -> None:
    yes, no = f"{CELL} > 1", f"{CELL} > 99"
    expected = {
        (yes, yes, no): (False, True, True),
        (yes, no): (False, False, True),
        (no, no): (False, False, False),
        (yes, yes): (True, True, True),
    }
    for terms, truth in expected.items():
        text = " AND ".join(terms)
        found = tuple(evaluate(made(prefix + text)).holds for prefix in ("", "MOST: ", "SOME: "))
        assert found == truth


def test_comparable_never_fails_and_equal_is_neither_above_nor_below() -> None:
    assert evaluate(made(f"{CELL} ~ 1")).holds
    assert not evaluate(made(f"{CELL} > 65.9")).holds and not evaluate(made(f"{CELL} < 65.9")).holds


def test_min_and_max_go_over_all_rows() -> None:
    frame = reported.table("clef_table2_bp4d")
    others = frame[(frame["method"] != "CLEF") & (frame["class_or_au"] == "avg")]["value"]
    term = parse(f"{CELL} > {OTHERS}")[1][0]
    assert term.right.reported() == others.max()
    lowest = parse(f"{CELL} > {OTHERS.replace('max(', 'min(')}")[1][0]
    assert lowest.right.reported() == others.min() != others.max()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CLEF is best", "not a term"),
        (f"{CELL} > best(table=x)", "neither a number"),
        ("metric(method=CLEF) > 1", "exactly one table"),
        ("metric(table=a;colour=red) > 1", "not a filter on table, method"),
        (f"{CELL} >= 1", "not a term"),
    ],
)
def test_text_outside_the_grammar_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_a_cell_that_fits_no_row_or_several_is_an_error() -> None:
    for cell in (CELL.replace("CLEF", "Nobody"), CELL.replace(";class_or_au=avg", "")):
        term: Term = parse(f"{cell} > 1")[1][0]
        with pytest.raises(DataError, match="rows of clef_table2_bp4d fit"):
            term.difference()


def test_unknown_ids_are_named() -> None:
    assert claim("clef-01").where == "Section 4.3.1, Table 2"
    with pytest.raises(ValueError, match="no claim 'clef-99'"):
        claim("clef-99")
