# SPDX-License-Identifier: Apache-2.0
"""Signals that are sent to this very process while something is held back, and after it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from memir.interrupt import held_back


def test_the_first_changes_nothing_and_the_second_interrupts() -> None:
    steps = []
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with held_back():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("written")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with pytest.raises(KeyboardInterrupt), held_back():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("not reached")
        assert steps == ["written"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held_back():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_holds_nothing_back() -> None:
    usual = signal.getsignal(signal.SIGINT)
    seen: list[bool] = []

    def work() -> None:
        with held_back():
            seen.append(signal.getsignal(signal.SIGINT) is usual)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]
