"""How long it pays to wait for a slot."""

from __future__ import annotations

from pipeflow.transports.shelf import Shelf, Slot

MIB = 2**20


def test_fresh_memory_is_worth_a_longer_wait_than_a_cold_slot() -> None:
    shelf = Shelf()
    fresh_s = shelf.patience_s(8 * MIB, 0)
    shelf.free.append(Slot(0, 0, 8 * MIB))
    cold_s = shelf.patience_s(8 * MIB, 0)

    assert 0.004 < fresh_s < 0.006
    assert 0.001 < cold_s < 0.002
    assert Shelf().patience_s(2**40, 0) == 0.05


def test_where_items_take_long_a_wait_is_long_enough_to_see_one_come_back() -> None:
    shelf = Shelf(free=[Slot(0, 0, 8 * MIB)])
    worth_s = shelf.patience_s(8 * MIB, 0)

    assert shelf.patience_s(8 * MIB, worth_s / 4) == worth_s
    assert shelf.patience_s(8 * MIB, worth_s) == 2 * worth_s
    assert shelf.patience_s(8 * MIB, 100 * worth_s) == 4 * worth_s
    assert shelf.patience_s(128 * MIB, 1) == 0.05


def test_waits_in_vain_become_rare_and_good_ones_frequent_again() -> None:
    shelf = Shelf()
    waits = 0
    for _ in range(1000):
        if not shelf.skips():
            waits += 1
            shelf.note_wait(0.001, in_vain=True)
    skipped = shelf.vain

    for _ in range(100):
        shelf.note_wait(0.001, in_vain=False)

    assert 15 <= waits <= 25
    assert skipped == 63
    assert shelf.vain == 1


def test_one_slot_more_is_due_once_the_waits_took_as_long_as_its_memory_does() -> None:
    small, large = Shelf(), Shelf()
    waits = {}

    for shelf, size in ((small, MIB), (large, 256 * MIB)):
        waits[size] = 1
        while not shelf.wants_more(size):
            shelf.note_wait(0.0005, in_vain=False)
            waits[size] += 1

    assert waits[MIB] == 64
    assert 310 < waits[256 * MIB] < 340
    assert not large.wants_more(256 * MIB)
