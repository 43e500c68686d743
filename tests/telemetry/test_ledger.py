from hypothesis import given
from hypothesis import strategies as st

from pipeflow.telemetry.ledger import check_ledger
from pipeflow.telemetry.report import EdgeFacts, StageFacts

COUNTS = st.integers(min_value=0, max_value=50)


def stage(name: str, **counts: int | bool) -> StageFacts:
    return StageFacts(name=name, replicas=1, workers=(), **counts)  # type: ignore[arg-type]  # counts


def edge(source: str, target: str, **counts: int) -> EdgeFacts:
    return EdgeFacts(
        source=f"{source}.out", target=target, input="", transport="pipe", capacity=256, **counts
    )


@given(processed=COUNTS, skipped=COUNTS, dead=COUNTS, dropped=COUNTS, unmatched=COUNTS)
def test_a_run_whose_numbers_agree_balances(
    processed: int, skipped: int, dead: int, dropped: int, unmatched: int
) -> None:
    received = processed + skipped + dead
    reader = stage(
        "shrink", received=received, processed=processed, skipped=skipped, dead_lettered=dead
    )
    link = edge(
        "find",
        "shrink",
        sent=received + dropped + unmatched,
        delivered=received,
        dropped=dropped,
        unmatched=unmatched,
    )

    ledger = check_ledger([stage("find"), reader], [link], clean=True)

    assert ledger.balanced
    assert ledger.findings == ()


@given(
    sent=COUNTS,
    lost=st.integers(min_value=1, max_value=50),
    clean=st.booleans(),
    early=st.booleans(),
)
def test_a_lost_item_is_found_however_the_run_ended(
    sent: int, lost: int, clean: bool, early: bool
) -> None:
    reader = stage("shrink", received=sent, processed=sent, ended_early=early)
    link = edge("find", "shrink", sent=sent + lost, delivered=sent)

    ledger = check_ledger([stage("find"), reader], [link], clean=clean)

    assert not ledger.balanced
    assert ledger.findings == (
        (
            f"edge find.out -> shrink: {sent + lost} sent, but {sent} accounted for"
            f" ({sent} delivered + 0 dropped + 0 unmatched + 0 unread)"
        ),
    )


def test_items_that_a_stage_took_must_come_to_an_end() -> None:
    reader = stage("shrink", received=5, processed=3, dead_lettered=1)
    link = edge("find", "shrink", sent=5, delivered=5)

    ledger = check_ledger([stage("find"), reader], [link], clean=True)

    assert ledger.findings == (
        (
            "stage 'shrink': 5 received, but 4 accounted for"
            " (3 processed + 0 skipped + 1 dead-lettered + 0 failed)"
        ),
    )


def test_what_a_stage_received_is_what_all_its_edges_delivered() -> None:
    reader = stage("merge", received=5, processed=5)
    links = [edge("a", "merge", sent=3, delivered=3), edge("b", "merge", sent=3, delivered=3)]

    ledger = check_ledger([stage("a"), stage("b"), reader], links, clean=True)

    assert ledger.findings == ("stage 'merge': 5 received, but its edges delivered 6",)


def test_a_source_counts_its_bad_records_only() -> None:
    source = stage("read", received=2, skipped=2)
    reader = stage("save", received=7, processed=7)

    ledger = check_ledger([source, reader], [edge("read", "save", sent=7, delivered=7)], clean=True)

    assert ledger.balanced


def test_unread_items_are_an_error_of_a_run_that_was_to_read_them() -> None:
    link = edge("read", "save", sent=7, delivered=5, unread=2)
    reader = stage("save", received=5, processed=5)
    early = stage("save", received=5, processed=5, ended_early=True)

    whole = check_ledger([stage("read"), reader], [link], clean=True)
    ended = check_ledger([stage("read"), early], [link], clean=True)
    failed = check_ledger([stage("read"), reader], [link], clean=False)

    assert whole.findings == (
        "edge read.out -> save: 2 of 7 unread, though 'save' read to the end",
    )
    assert ended.balanced
    assert failed.balanced


def test_failed_items_are_an_error_of_a_run_that_succeeded() -> None:
    link = edge("read", "save", sent=2, delivered=2)
    reader = stage("save", received=2, processed=1, failed=1)

    whole = check_ledger([stage("read"), reader], [link], clean=True)
    failed = check_ledger([stage("read"), reader], [link], clean=False)

    assert whole.findings == ("stage 'save': 1 of 2 failed, though the run did not",)
    assert failed.balanced
