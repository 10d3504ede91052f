"""The Trainer against the loop that a PyTorch user writes by hand."""

import numpy as np
import pytest
from close import MANY, agree

torch = pytest.importorskip("torch")

from tinytorch import nn  # noqa: E402 - only where PyTorch is there
from tinytorch.core import optimizers  # noqa: E402
from tinytorch.core.losses import accuracy  # noqa: E402
from tinytorch.core.tensor import Tensor  # noqa: E402
from tinytorch.core.training import Trainer, confusion_matrix  # noqa: E402

pytestmark = pytest.mark.parity

OPTIMIZERS = {
    "SGD": {"lr": 0.1},
    "SGD with momentum": {"lr": 0.05, "momentum": 0.9},
    "Adam": {"lr": 0.02},
}


def data(dtype):
    draw = np.random.default_rng(0)
    rows, classes = draw.standard_normal((50, 6)).astype(dtype), draw.integers(0, 4, 50)
    return [(rows[start : start + 16], classes[start : start + 16]) for start in range(0, 50, 16)]


def pair(dtype):
    ours = nn.Sequential(nn.Linear(6, 9, dtype=dtype), nn.Tanh(), nn.Linear(9, 4, dtype=dtype))
    theirs = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 4))
    theirs = theirs.to(torch.float64 if dtype == np.float64 else torch.float32)
    with torch.no_grad():
        for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(torch.from_numpy(parameter.numpy()))
    return ours, theirs


def pytorch_run(model, optimizer, schedule, batches, epochs, clip_norm):
    loss_of, rows, history = torch.nn.CrossEntropyLoss(), sum(len(y) for _, y in batches), []
    for _ in range(epochs):
        model.train()
        loss_sum, right = 0.0, 0
        for x, y in batches:
            x, y = torch.from_numpy(x), torch.from_numpy(y)
            out = model(x)
            loss = loss_of(out, y)
            optimizer.zero_grad()
            loss.backward()
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            loss_sum, right = loss_sum + loss.item() * len(y), right + (out.argmax(1) == y).sum().item()
        model.eval()
        with torch.no_grad():
            x, y = (torch.from_numpy(np.concatenate(part)) for part in zip(*batches, strict=True))
            validation = loss_of(model(x), y).item()
        history.append([loss_sum / rows, right / rows, validation, optimizer.param_groups[0]["lr"]])
        schedule.step()
    return np.array(history).T


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("clip_norm", [None, 0.3])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_run_follows_pytorch(kind, clip_norm, dtype):
    ours, theirs = pair(dtype)
    settings, name = OPTIMIZERS[kind], kind.split()[0]
    mine = getattr(optimizers, name)(ours.parameters(), **settings)
    other = getattr(torch.optim, name)(theirs.parameters(), **settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(other, T_max=8)
    batches = data(dtype)
    expected = pytorch_run(theirs, other, schedule, batches, 8, clip_norm)

    loader = [(Tensor(x, dtype=dtype), y) for x, y in batches]
    trainer = Trainer(
        ours,
        nn.CrossEntropyLoss(),
        mine,
        schedule=optimizers.CosineAnnealingLR(mine, T_max=8),
        metrics=[accuracy],
        clip_norm=clip_norm,
        progress=False,
    )
    history = trainer.fit(loader, 8, validation=loader)
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    for name, numbers in zip(["loss", "accuracy", "validation_loss", "lr"], expected, strict=True):
        np.testing.assert_allclose(history[name], numbers, rtol=rtol, atol=1e-12, err_msg=name)
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        agree(parameter.numpy(), other, terms=MANY)


def test_dropout_and_evaluation_mode_agree():
    """In evaluation both frameworks leave dropout out, so that the numbers can be compared at all."""
    ours, theirs = pair(np.float64)
    with_dropout = nn.Sequential(ours[0], nn.Dropout(0.5), ours[1], ours[2])
    trainer = Trainer(with_dropout, nn.CrossEntropyLoss(), optimizers.SGD(ours.parameters(), lr=0.1), progress=False)
    x, y = data(np.float64)[0]
    expected = torch.nn.CrossEntropyLoss()(theirs(torch.from_numpy(x)), torch.from_numpy(y)).item()
    got = trainer.evaluate([(Tensor(x, dtype=np.float64), y)])["loss"]
    np.testing.assert_allclose(got, expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_confusion_matrix_as_a_histogram_of_pairs(seed):
    draw = np.random.default_rng(seed)
    logits, truth = draw.standard_normal((200, 6)), draw.integers(0, 6, 200)
    pairs = torch.from_numpy(truth) * 6 + torch.from_numpy(logits).argmax(1)
    expected = torch.bincount(pairs, minlength=36).reshape(6, 6).numpy()
    np.testing.assert_array_equal(confusion_matrix(logits, truth), expected)
