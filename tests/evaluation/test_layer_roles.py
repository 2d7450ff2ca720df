"""What layers do: against plain loops, a published property of CKA, and a sum that has to come out."""

import numpy as np
import pytest
import torch

from slmrec.evaluation.layer_roles import LayerRoles, layer_roles

from ..conftest import build


@pytest.fixture(params=["llama", "gpt2"])
def model(request, cycle, tmp_path_factory):
    from ..conftest import DECODERS, save_decoder

    folder = tmp_path_factory.mktemp(request.param)
    save_decoder(DECODERS[request.param], folder)
    return build(cycle, folder, prompt_before="the user liked")


def states_of(model, cycle):
    """(L + 1, H, D) states at each test history's last item, one history at a time."""
    cases, found = cycle.cases("test"), []
    for user, position in zip(cases.users, cases.positions, strict=True):
        history = cycle.history(user, position)[-7:]
        ids = torch.tensor([history.tolist()])
        with torch.no_grad():
            found.append(model.hidden(ids, torch.tensor([len(history)]), (0, 1, 2, 3))[:, 0, -1])
    return torch.stack(found, dim=1)


def test_block_influence_and_likeness_by_loops(model, cycle):
    found, states = layer_roles(model, cycle), states_of(model, cycle)
    for layer in range(3):
        cosines = [torch.cosine_similarity(a, b, dim=0) for a, b in zip(states[layer], states[layer + 1], strict=True)]
        assert found.block_influence[layer] == pytest.approx(1 - float(sum(cosines)) / len(cosines), abs=1e-4)

    def kernel(x):
        x = (x - x.mean(dim=0)).double()
        return x @ x.T

    for a in range(4):
        for b in range(4):  # by the Gram matrices of the paper's other form
            one, two = kernel(states[a]), kernel(states[b])
            wanted = (one * two).sum() / (one.norm() * two.norm())
            assert found.cka[a][b] == pytest.approx(float(wanted), abs=1e-4)
    assert np.allclose(np.diag(found.cka), 1)


def test_contributions_add_up_to_the_margin(model, cycle):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in ("final_norm.bias", "output_adapter.bias"):
                parameter.zero_()  # what they give is given to every history alike and is no layer's
    found, cases = layer_roles(model, cycle), cycle.cases("test")
    histories = [cycle.history(u, p) for u, p in zip(cases.users, cases.positions, strict=True)]
    scores = model.score(histories)
    true = scores[torch.arange(len(histories)), torch.from_numpy(cycle.sequence[cases.positions].astype(np.int64)) - 1]
    assert len(found.contribution) == 4
    assert sum(found.contribution) == pytest.approx(float((true - scores.mean(dim=1)).mean()), rel=1e-3, abs=1e-4)


def test_training_histories_end_before_the_last_training_event(model, cycle):
    found, states = layer_roles(model, cycle, "train"), []
    for events in cycle.train_sequences():
        history = events[:-1][-7:]
        with torch.no_grad():
            ids = torch.tensor([history.tolist()])
            states.append(model.hidden(ids, torch.tensor([len(history)]), (0, 1))[:, 0, -1])
    before, after = torch.stack(states, dim=1)
    wanted = 1 - float(torch.cosine_similarity(before, after, dim=1).mean())
    assert found.block_influence[0] == pytest.approx(wanted, abs=1e-4)
    assert found.block_influence[0] != pytest.approx(layer_roles(model, cycle).block_influence[0], abs=1e-4)


def test_the_best_layers_in_their_order():
    roles = LayerRoles([0.5, 0.1, 0.4, 0.4], np.eye(5).tolist(), [9.0, -1.0, 0.3, 0.2, 0.1])
    assert roles.best(2, "influence") == [0, 2]
    assert roles.best(3, "influence") == [0, 2, 3]
    assert roles.best(2, "contribution") == [1, 2]  # the input's is no layer's


def test_a_layer_that_does_nothing_is_told(model, cycle):
    with torch.no_grad():
        for name, parameter in model.backbone.named_parameters():
            if ".1." in name and name.endswith(("o_proj.weight", "down_proj.weight", "c_proj.weight", "c_proj.bias")):
                parameter.zero_()
    found = layer_roles(model, cycle)
    assert found.block_influence[1] == pytest.approx(0, abs=1e-6)
    assert found.contribution[2] == pytest.approx(0, abs=1e-6)
    assert found.cka[1][2] == pytest.approx(1)
    assert found.block_influence[0] > 0.01
