"""Work that is split over processes gives what one process gives, and its errors arrive."""

from __future__ import annotations

import os

import pytest

from gitindex.errors import CannotRunError
from gitindex.parallel import WORTH_IT, in_shares, shares_for


def test_results_come_in_the_order_of_the_shares() -> None:
    assert in_shares(lambda share, shares: list(range(10))[share::shares], 3) == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]


def test_one_share_runs_in_this_process() -> None:
    assert in_shares(lambda share, shares: (os.getpid(), share, shares), 1) == [(os.getpid(), 0, 1)]


def test_more_than_a_pipe_holds_arrives_whole() -> None:
    assert [len(text) for text in in_shares(lambda share, _: "x" * (1_000_000 + share), 2)] == [1_000_000, 1_000_001]


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_any_share_is_raised(failing: int) -> None:
    def work(share: int, shares: int) -> int:
        if share == failing:
            raise CannotRunError("the disk is full", help=f"one of {shares}")
        return share

    with pytest.raises(CannotRunError, match="the disk is full; one of 2"):
        in_shares(work, 2)


def test_an_unexpected_error_of_another_process_is_told() -> None:
    def work(share: int, _: int) -> int:
        return 1 // (1 - share)

    with pytest.raises(CannotRunError, match="ZeroDivisionError"):
        in_shares(work, 2)


def test_a_process_that_is_killed_is_told() -> None:
    def work(share: int, _: int) -> int:
        if share:
            os.kill(os.getpid(), 9)
        return share

    with pytest.raises(CannotRunError, match="ended before it was done"):
        in_shares(work, 2)


def test_little_work_is_not_split() -> None:
    assert shares_for(0) == shares_for(WORTH_IT - 1) == 1
