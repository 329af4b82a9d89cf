import numpy as np

from heron.messaging import Clock


def test_time_is_steps_times_their_length_for_each_copy():
    clock = Clock(3, 0.5)
    clock.steps += [0, 1, 4]

    assert clock.time.tolist() == [0.0, 0.5, 2.0]
    assert clock.time.dtype == np.float64


def test_time_does_not_move_on_after_it_was_read():
    clock = Clock(1, 1.0)
    before = clock.time
    clock.steps += 1

    assert before.tolist() == [0.0]
