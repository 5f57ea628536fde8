"""Who gets the model: replies before learning, and learning is none the worse for it."""

import threading
import time
from dataclasses import replace

import torch
from tiny import BASE, DIRECTIVES, ROWS, logits, tiny_engine

from seal_agent.adapters.training import Job
from seal_agent.core.priority import Turns, in_background


def test_the_background_gives_way_to_whoever_waits_and_goes_on_afterwards() -> None:
    turns, said = Turns(), list[str]()

    def reply() -> None:
        with turns:
            said.append("reply")

    with in_background(), turns, turns:  # entered twice: all of it is given up, and taken back
        thread = threading.Thread(target=reply)
        thread.start()
        while not turns.give_way():
            time.sleep(0.001)
        said.append("learning")
        thread.join()
    assert said == ["reply", "learning"]
    with turns:
        pass


def test_the_foreground_keeps_its_turn() -> None:
    turns = Turns()
    with turns:
        thread = threading.Thread(target=lambda: turns.__enter__().__exit__(None, None, None))
        thread.start()
        time.sleep(0.02)
        assert not turns.give_way()
    thread.join()


def test_a_long_turn_in_the_foreground_gives_way_to_whoever_waits() -> None:
    turns, said = Turns(longest=0.0), list[str]()

    def reply() -> None:
        with turns:
            said.append("the one that waited")

    with turns:
        assert not turns.give_way()  # nobody waits
        thread = threading.Thread(target=reply)
        thread.start()
        gave_way = any(turns.give_way() or time.sleep(0.001) for _ in range(2000))
        said.append("the long one")
    thread.join()
    assert gave_way
    assert said == ["the one that waited", "the long one"]


def test_the_background_is_not_starved_by_those_who_ask_again_and_again() -> None:
    turns, ended = Turns(), threading.Event()

    def talk() -> None:
        while not ended.is_set():
            with turns:
                pass

    talkers = [threading.Thread(target=talk) for _ in range(3)]
    for talker in talkers:
        talker.start()
    with in_background(), turns:
        for _ in range(50):
            turns.give_way()
    ended.set()
    for talker in talkers:
        talker.join()


def test_replies_between_the_steps_see_the_base_and_change_nothing_of_what_is_trained() -> None:
    alone = tiny_engine()
    job = Job(ROWS, DIRECTIVES, seed=3)
    expected = alone.train(BASE, [job], progress=lambda *_: None)[0]
    engine = tiny_engine()
    before, replies = logits(engine), list[torch.Tensor]()
    trained = threading.Event()

    def reply() -> None:
        while not trained.is_set():
            with engine.lock:
                replies.append(logits(engine))
                torch.manual_seed(len(replies))

    thread = threading.Thread(target=reply)
    thread.start()
    with in_background(), engine.lock:
        run = engine.train(BASE, [job], progress=lambda *_: time.sleep(0.005))[0]
    trained.set()
    thread.join()
    assert len(replies) > 3
    assert all(torch.equal(answer, before) for answer in replies)
    for name, (a, b) in expected.update.pairs.items():
        assert torch.equal(a, run.update.pairs[name][0])
        assert torch.equal(b, run.update.pairs[name][1])


def test_a_reply_that_waits_goes_before_the_first_step_even_where_rows_are_anchored() -> None:
    engine, replied = tiny_engine(), threading.Event()
    waited: list[bool] = []

    def reply() -> None:
        with engine.lock:
            replied.set()

    def stepped(_what: str, _done: int, _total: int) -> None:
        waited.append(not replied.is_set())

    thread = threading.Thread(target=reply)
    job = Job(ROWS, replace(DIRECTIVES, kl_weight=1.0), 3, anchored=frozenset({0, 1}))
    with in_background(), engine.lock:
        thread.start()
        while not engine.lock._waiting:
            time.sleep(0.001)
        engine.train(BASE, [job], progress=stepped)
    thread.join()
    assert not any(waited)
