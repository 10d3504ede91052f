"""Embeddings against PyTorch: the same table, the same rows, the same gradients, the same steps."""

import inspect

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tinytorch import Tensor, manual_seed, nn, optim  # noqa: E402
from tinytorch.nn import functional  # noqa: E402

pytestmark = pytest.mark.parity
IDS = np.random.default_rng(0).integers(0, 7, (4, 5))


@pytest.mark.parametrize("padding_idx", [None, 0, 3, -1])
def test_twenty_steps_of_a_table_are_pytorchs(padding_idx):
    manual_seed(0)
    ours = nn.Embedding(7, 3, padding_idx)
    theirs = torch.nn.Embedding(7, 3, padding_idx)
    assert ours.padding_idx == theirs.padding_idx
    with torch.no_grad():
        theirs.weight.copy_(torch.from_numpy(ours.weight.numpy()))
    steppers = optim.Adam(ours.parameters(), lr=0.05), torch.optim.Adam(theirs.parameters(), lr=0.05)
    for step in range(20):
        ids = np.random.default_rng(step).integers(0, 7, (4, 5))
        for stepper in steppers:
            stepper.zero_grad()
        (ours(ids) ** 2).sum().backward()
        (theirs(torch.from_numpy(ids)) ** 2).sum().backward()
        np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad.numpy(), rtol=1e-5, atol=1e-6)
        for stepper in steppers:
            stepper.step()
    np.testing.assert_allclose(ours.weight.numpy(), theirs.weight.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_a_table_of_pytorchs_loads_under_the_same_names():
    theirs = torch.nn.Embedding(7, 3)
    ours = nn.Embedding(7, 3)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    np.testing.assert_array_equal(ours(IDS).numpy(), theirs(torch.from_numpy(IDS)).detach().numpy())


def test_tables_begin_as_pytorchs_do():
    manual_seed(0)
    torch.manual_seed(0)
    for weight in (nn.Embedding(300, 200).weight.numpy(), torch.nn.Embedding(300, 200).weight.detach().numpy()):
        assert abs(weight.mean()) < 0.02 and abs(weight.std() - 1) < 0.02
    assert not nn.Embedding(5, 2, padding_idx=1).weight.numpy()[1].any()


def test_functions_take_pytorchs_arguments_in_its_order():
    theirs = inspect.signature(torch.nn.functional.embedding)
    assert list(inspect.signature(functional.embedding).parameters) == list(theirs.parameters)
    assert list(inspect.signature(functional.one_hot).parameters) == ["tensor", "num_classes"]  # torch's has none


@pytest.mark.parametrize("padding_idx", [None, 2, -7])
def test_the_function_reads_and_learns_as_pytorchs(padding_idx):
    values = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
    ours, theirs = Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    rows = functional.embedding(Tensor(IDS), ours, padding_idx)
    expected = torch.nn.functional.embedding(torch.from_numpy(IDS), theirs, padding_idx)
    np.testing.assert_array_equal(rows.numpy(), expected.detach().numpy())
    rows.sum().backward()
    expected.sum().backward()
    np.testing.assert_array_equal(ours.grad, theirs.grad.numpy())


def test_one_hot_counts_in_integers_as_pytorchs_does():
    for count in (-1, 9):
        ours, theirs = functional.one_hot(Tensor(IDS), count), torch.nn.functional.one_hot(torch.from_numpy(IDS), count)
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
        assert ours.dtype == np.int64


@pytest.mark.parametrize("setting", [{"max_norm": 1.0}, {"scale_grad_by_freq": True}, {"sparse": True}])
def test_what_the_course_does_not_have_is_refused_by_name(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        functional.embedding(IDS, Tensor(np.ones((7, 3))), **setting)
