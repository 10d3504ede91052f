"""Module 20's reference, handed in: what its `pack` writes and its `build` makes is measured as a student's is."""

import numpy as np
import pytest
from tiny_course import REPOSITORY

from tito.project import read_project
from tito.services.grading.olympics import hidden, racer
from tito.services.grading.olympics.measure import HandedIn, measure
from tito.services.grading.olympics.rules import read_rules
from tito.services.grading.olympics.stadium.yardstick import load
from tito.services.grading.sandbox.find import Sandbox
from tito.services.grading.sandbox.plain import Plain

READINGS = 8


@pytest.fixture
def measured():
    """measured(arrays, manifest): the Measured of a submission, with the reference's package."""
    project = read_project(REPOSITORY)
    rules = read_rules(project)

    def run(arrays, manifest):
        division = rules.DIVISIONS[manifest["division"]]
        track = hidden.open_track(project, rules, division, hidden.own_settings(project))
        track.readings = READINGS
        handed = HandedIn(rules.pack_submission(arrays, manifest), project.root, "capstone")
        return measure(rules, division, handed, track, Sandbox("none", "", Plain()))

    return run


def reference(name):
    return load(np, racer.YARDSTICKS / f"{name}.npz")


def test_a_packed_writer_with_a_cache_is_ranked(measured):
    from tinytorch.core.capstone import manifest_of, pack
    from tinytorch.transformers import GPT

    model = GPT(65, 64, 4, 4, 128)
    model.load_state_dict(reference("gpt"))
    arrays, layers = pack(model)
    found = measured(arrays, manifest_of("tokens", layers))
    assert (found.status, found.detail) == ("ranked", "")
    assert found.quality < 2.15 and found.bytes < 1_000_000  # 1.89 on average, 0.06 the standard deviation of a run


def test_a_packed_reader_is_ranked_and_without_training_it_is_not(measured):
    from tinytorch import Tensor
    from tinytorch.core.capstone import manifest_of, pack
    from tinytorch.core.layers import Linear, Sequential
    from tinytorch.core.spatial import Flatten
    from tinytorch.submissions import distort

    # one layer by least squares reads 60 % of distorted digits, with a standard deviation of 2 in 512 of them
    images, labels = hidden.test_digits()
    generator = np.random.default_rng(0)
    seen = np.concatenate([distort(images, generator) for _ in range(20)]).reshape(-1, 64)
    seen = np.column_stack([seen, np.ones(len(seen))])
    solution = np.linalg.lstsq(seen, np.eye(10)[np.tile(labels, 20)], rcond=None)[0].T
    model = Sequential(Flatten(), Linear(64, 10))
    arrays, layers = pack(model)
    manifest = manifest_of("open", layers, "nothing: a layer as it starts")
    assert measured(arrays, manifest).status == "below the floor"
    model[1].weight.data[...], model[1].bias.data[...] = solution[:, :64], solution[:, 64]
    arrays, layers = pack(model)
    found = measured(arrays, manifest_of("open", layers, "one layer by least squares"))
    assert (found.status, found.detail) == ("ranked", "")
    assert 0.5 < found.quality < 0.95 and found.title == "one layer by least squares"
    assert model(Tensor(images)).shape == (360, 10)
